"""Codes: what a system defines, what a value set holds, what maps to what; pure, over a catalog.

https://hl7.org/fhir/R4/terminology-service.html
"""

from ehr_server.terminology.terminology import Terminology

__all__ = ["Terminology"]
