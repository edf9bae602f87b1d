"""What the operations on codes share: typed parameters, the codings in them, what is stored here.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.call import Answer
from ehr_server.errors import Gone, Invalid, NotFound, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.parameters import Given, Known, given, parameters
from ehr_server.search.parse import PRESENTATION
from ehr_server.store.connect import snapshot
from ehr_server.store.read import current, place
from ehr_server.terminology.checking import Coded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ehr_server.call import Call

CODED = {
    "code": Known("code"),
    "system": Known("uri"),
    "display": Known("string"),
    "coding": Known("Coding"),
    "codeableConcept": Known("CodeableConcept"),
}
_RESOURCES = ("ValueSet", "CodeSystem", "ConceptMap")
_WAYS = ("code", "coding", "codeableConcept")


def asked(call: Call, known: Mapping[str, Known]) -> Given:
    """The parameters of a call, in its address or posted.

    Raises `Invalid` that names one, or `Unprocessable` for a resource sent along that is none.
    """
    request = call.request
    is_posted = request.method == "POST" and (request.resource is not None or request.body.strip())
    sent = given(
        known,
        [pair for pair in request.query if pair[0] not in PRESENTATION],
        request.parsed() if is_posted else None,
        is_lenient=request.preference("handling") == "lenient",
    )
    for name in sent.values:
        if known[name].type in _RESOURCES:
            _check(call, sent.one(name), known[name].type)
    return sent


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


def needed(sent: Given, name: str) -> Any:
    """The value of a parameter that must be there. Raises `Invalid` if it is not."""
    if name not in sent:
        raise Invalid(
            f"The parameter {name} is missing.",
            vi=f"Thiếu tham số {name}.",
            expression=(name,),
        )
    return sent.one(name)


def refuse(sent: Given, name: str, text: str, vi: str) -> None:
    """Raises `Invalid` where a parameter is given that R4 has and this server does not."""
    if name in sent:
        raise Invalid(
            f"The parameter {name} is not supported: {text}.",
            vi=f"Không hỗ trợ tham số {name}: {vi}.",
            expression=(name,),
        )


def stored(call: Call, type_name: str) -> dict[str, Any]:
    """The current version of what the address names. Raises `NotFound` or `Gone`."""
    id_ = call.parts["id"]
    with call.store.connection() as connection, snapshot(connection):
        lies = place(connection, type_name, id_)
        if lies is None:
            raise NotFound(f"There is no {type_name}/{id_}.", vi=f"Không có {type_name}/{id_}.")
        version = current(call.store, connection, type_name, lies) if lies.live else None
    if version is None:
        raise Gone(f"{type_name}/{id_} was deleted.", vi=f"{type_name}/{id_} đã bị xóa.")
    resource: dict[str, Any] = json.read_stored(version.content)
    return resource


def answered(values: Iterable[tuple[str, str, Any]]) -> Answer:
    """200 with Parameters of (name, element, value); what is "" is left out."""
    return Answer(200, json.write(parameters([one for one in values if one[2] != ""])))


def _check(call: Call, resource: dict[str, Any], type_name: str) -> None:
    found = call.means.rulebook.check(resource, type_name)
    errors = [issue for issue in found if issue.severity in ("error", "fatal")]
    if errors:
        raise Unprocessable(issues=errors)
