"""What FHIR R4 defines, as frozen tables of facts: types, search parameters, compartments, codes.

The tables beside this file are made by `tools/make_definitions.py` from the packages of the
standard (https://hl7.org/fhir/R4/structuredefinition.html and its neighbours).
"""

from ehr_server.definitions.model import (
    Constraint,
    Definitions,
    Element,
    SearchParameter,
    TypeDefinition,
    definitions,
)
from ehr_server.definitions.primitives import PRIMITIVES, Primitive
from ehr_server.definitions.profile import Profile, ProfileError

__all__ = [
    "PRIMITIVES",
    "Constraint",
    "Definitions",
    "Element",
    "Primitive",
    "Profile",
    "ProfileError",
    "SearchParameter",
    "TypeDefinition",
    "definitions",
]
