"""What is restricted: labels and codes that tell more of a person than others may know."""

from ehr_server.sensitivity.restricted import is_restricted, reasons

__all__ = ["is_restricted", "reasons"]
