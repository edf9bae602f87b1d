"""FHIRPath: the subset that search parameters and invariants of R4 need, compiled to closures.

http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html. An expression is parsed
(`parse`), typed by the definitions and turned into closures (`compile`, `steps`); functions and
operators are rows of two tables (`functions`, `operators`), so that a further one is an addition.
"""

from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.evaluate import Evaluate, compile_path, first_steps

__all__ = ["Evaluate", "FHIRPathError", "compile_path", "first_steps"]
