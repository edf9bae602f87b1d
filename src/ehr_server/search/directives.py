"""The rules of a Consent, as the index finds what they are about.

https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.code: a code is looked for where
search parameters read codings.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from ehr_server.consent.codes import Pair
from ehr_server.consent.read import Read, Site
from ehr_server.consent.read import read as read_consent
from ehr_server.definitions import definitions
from ehr_server.hashing import hash64
from ehr_server.search.parameters import STANDARD
from ehr_server.search.rules import Rules
from ehr_server.search.types.coded import folded

_CODED = frozenset(("CodeableConcept", "Coding"))


def read(consent: dict[str, Any], rules: Rules) -> Read:
    """The rules of a Consent, and what is told to who sends it."""
    return read_consent(consent, Site(rules.zone, rules.base, _hashes))


def _hashes(pairs: Sequence[Pair], types: Sequence[str]) -> Iterator[int]:
    """The tokens of rows in which one of the codes is found: of these types, of none named of all
    that belong to a person."""
    for system, code in pairs:
        for name in _names(tuple(types)):
            yield hash64(name, system, folded(code))


@cache
def _names(types: tuple[str, ...]) -> tuple[str, ...]:
    if not types:
        every = definitions().resource_types
        types = tuple(name for name in every if name == "Patient" or STANDARD.of(name).compartment)
    found = {
        parameter.name
        for type_name in types
        for parameter in STANDARD.of(type_name).indexed
        if parameter.type == "token" and parameter.types & _CODED
    }
    return tuple(sorted(found - {"_security", "_tag"}))
