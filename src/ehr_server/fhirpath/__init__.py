"""FHIRPath: what search parameters and invariants ask, compiled to closures.

http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html. An expression is parsed
(`parse`), typed by the definitions and turned into closures (`compile`, `steps`); functions and
operators are rows of tables (`functions`, `operators`), so that a further one is an addition. What
little is not compiled, `foreign` leaves to a library.
"""

from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.evaluate import Evaluate, compile_path
from ehr_server.fhirpath.invariant import Holds, compile_invariant
from ehr_server.fhirpath.scope import Reach

__all__ = [
    "Evaluate",
    "FHIRPathError",
    "Holds",
    "Reach",
    "compile_invariant",
    "compile_path",
]
