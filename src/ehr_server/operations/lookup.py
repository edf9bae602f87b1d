"""$lookup: what a code system says of a code.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir.parameters import Known
from ehr_server.operations.codings import coded_of
from ehr_server.operations.given import answered, asked, needed, refuse
from ehr_server.terminology.checking import Coded
from ehr_server.terminology.refusals import system_not_loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ehr_server.fhir.parameters import Given
    from ehr_server.terminology.concepts import Concepts, Designation

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup"
_KNOWN = {
    "code": Known("code"),
    "system": Known("uri"),
    "version": Known("string"),
    "coding": Known("Coding"),
    "date": Known("dateTime"),
    "displayLanguage": Known("code"),
    "property": Known("code", is_list=True),
}
_Out = tuple[str, str, Any]


def lookup(call: Call) -> Answer:
    """200 with name, version, display, designations and properties; `property` names those that
    are wanted, else it is all.

    Raises `NotFound` for a system that is not loaded and a code that it does not have.
    """
    sent = asked(call, _KNOWN)
    refuse(sent, "date", "what is loaded now is asked", "chỉ hỏi nội dung hiện đang nạp")
    coded = _coded(sent)
    concepts = found_system(call, coded)
    at = found_code(concepts, coded.code)
    wanted = frozenset(sent.all("property"))
    language = sent.one("displayLanguage", "")
    values: list[_Out] = [
        ("name", "valueString", concepts.name),
        ("version", "valueString", concepts.version),
        ("display", "valueString", concepts.display(at, language) or concepts.codes[at]),
        *(
            ("designation", "part", list(_designation(one)))
            for one in concepts.designations.get(at, ())
            if not wanted or wanted & {"designation", f"lang.{one.language}"}
        ),
        *(
            ("property", "part", [("code", "valueCode", code), ("value", element, value)])
            for code, element, value in _properties(concepts, at)
            if not wanted or code in wanted
        ),
    ]
    return answered(values)


def found_system(call: Call, coded: Coded) -> Concepts:
    """The code system of a coding. Raises `NotFound` if it is not loaded."""
    concepts = call.means.rulebook.terminology.system(coded.canonical)
    if concepts is None:
        raise NotFound(
            f"The code system {coded.system} is not loaded here.",
            vi=f"Hệ mã {coded.system} chưa được nạp vào máy chủ.",
        )
    return concepts


def found_code(concepts: Concepts, code: str) -> int:
    """The position of a code. Raises `NotFound`, or `NotLoaded` of a part of a system."""
    at = concepts.find(code)
    if at is not None:
        return at
    if not concepts.is_whole:
        raise system_not_loaded(concepts.system)
    raise NotFound(
        f"The code system {concepts.system} has no code {code}.",
        vi=f"Hệ mã {concepts.system} không có mã {code}.",
    )


def _coded(sent: Given) -> Coded:
    if "coding" in sent:
        if "code" in sent or "system" in sent:
            raise Invalid(
                "Give code and system, or coding, not both.",
                vi="Hãy gửi code và system, hoặc coding, không gửi cả hai.",
                expression=("coding",),
            )
        coded = coded_of(sent.one("coding"))
        if not (coded.system and coded.code):
            raise Invalid(
                "The parameter coding needs a system and a code.",
                vi="Tham số coding cần có system và code.",
                expression=("coding",),
            )
        return coded
    version = sent.one("version", "")
    return Coded(needed(sent, "system"), needed(sent, "code"), version=version)


def _designation(one: Designation) -> Iterator[_Out]:
    if one.language:
        yield "language", "valueCode", one.language
    if one.use is not None:
        yield "use", "valueCoding", one.use
    yield "value", "valueString", one.value


def _properties(concepts: Concepts, at: int) -> Iterator[_Out]:
    codes = concepts.codes
    if at in concepts.definitions:
        yield "definition", "valueString", concepts.definitions[at]
    yield "inactive", "valueBoolean", at in concepts.inactive
    for one in concepts.parents.get(at, ()):
        yield "parent", "valueCode", codes[one]
    for one in concepts.children.get(at, ()):
        yield "child", "valueCode", codes[one]
    for own in concepts.properties.get(at, ()):
        if own.code != "inactive":
            yield own.code, own.key, own.value


ROUTES = (
    Route(_DEFINITION, "GET", "CodeSystem/$lookup", lookup),
    Route(_DEFINITION, "POST", "CodeSystem/$lookup", lookup),
)
