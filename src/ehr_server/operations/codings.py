"""The codings that an operation on codes is asked about.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.errors import Invalid
from ehr_server.fhir.parameters import Given, Known
from ehr_server.terminology.checking import Coded

if TYPE_CHECKING:
    from collections.abc import Mapping

CODED = {
    "code": Known("code"),
    "system": Known("uri"),
    "display": Known("string"),
    "coding": Known("Coding"),
    "codeableConcept": Known("CodeableConcept"),
}
_WAYS = ("code", "coding", "codeableConcept")


def codings(sent: Given, *, version: str = "version") -> list[Coded]:
    """What is asked about: a code with its system, a Coding, or those of a CodeableConcept.

    `version` names the parameter of the system's version. Raises `Invalid` unless it is exactly
    one of these.
    """
    ways = [name for name in _WAYS if name in sent]
    if len(ways) != 1:
        raise Invalid(
            "Ask about one of: code (with its system), coding, codeableConcept.",
            vi="Hãy hỏi về đúng một trong: code (cùng system), coding, codeableConcept.",
            expression=ways or ("code",),
        )
    if ways == ["code"]:
        texts = (sent.one(name, "") for name in ("system", "code", "display", version))
        return [Coded(*texts)]
    concept = sent.one("codeableConcept", {"coding": sent.all("coding")})
    found = [coded_of(one) for one in concept["coding"] if one.get("code")]
    if not found:
        raise Invalid(
            f"The parameter {ways[0]} has no code.",
            vi=f"Tham số {ways[0]} không có mã.",
            expression=ways,
        )
    return found


def coded_of(coding: Mapping[str, Any]) -> Coded:
    """A Coding as data."""
    texts = (coding.get(name, "") for name in ("system", "code", "display", "version"))
    return Coded(*texts)
