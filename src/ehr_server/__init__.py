"""ehr-server: a FHIR R4 server for lifelong personal health records."""

__version__ = "0.1.0"
