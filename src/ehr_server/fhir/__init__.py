"""The FHIR R4 standard's own notions, pure: JSON, dates, references, bundles, outcomes."""
