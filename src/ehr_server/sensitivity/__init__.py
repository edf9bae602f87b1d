"""What is restricted: labels and codes that tell more of a person than others may know."""

from ehr_server.sensitivity.restricted import is_restricted, reason_of_label, reasons

__all__ = ["is_restricted", "reason_of_label", "reasons"]
