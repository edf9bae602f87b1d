"""Code lists from the files in which they are published, as CodeSystem resources.

https://hl7.org/fhir/R4/codesystem.html. One module for each form: `table` (CSV, TSV), `loinc`,
`rf2` (SNOMED CT), `claml` (ICD-10 of the WHO). The hierarchy is said by the property `parent`,
since a concept may have several.
"""

from ehr_server.terminology.published.form import Head, ListError, code_system
from ehr_server.terminology.published.registry import FORMATS, read

__all__ = ["FORMATS", "Head", "ListError", "code_system", "read"]
