"""$subsumes: whether one code is a kind of another.

https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, Unprocessable
from ehr_server.fhir.parameters import Known
from ehr_server.operations.codings import coded_of
from ehr_server.operations.given import answered, asked, needed, stored
from ehr_server.operations.lookup import found_code, found_system
from ehr_server.terminology.checking import Coded
from ehr_server.terminology.concepts import concepts_of

if TYPE_CHECKING:
    from ehr_server.fhir.parameters import Given
    from ehr_server.terminology.concepts import Concepts

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes"
_KNOWN = {
    "codeA": Known("code"),
    "codeB": Known("code"),
    "system": Known("uri"),
    "version": Known("string"),
    "codingA": Known("Coding"),
    "codingB": Known("Coding"),
}


def subsumes(call: Call) -> Answer:
    """200 with `outcome`: equivalent, subsumes (A is the wider), subsumed-by or not-subsumed.

    Raises `NotFound` for a system or code that is not there, `Unprocessable` for a system whose
    hierarchy says something else.
    """
    sent = asked(call, _KNOWN)
    a, b = _codes(sent)
    if "id" in call.parts:
        concepts = concepts_of(stored(call, "CodeSystem"))
    else:
        if not a.system:
            needed(sent, "system")
        concepts = found_system(call, a)
    if {a.system, b.system} - {concepts.system, ""}:
        raise Invalid(
            "Both codes are of one system, the one that is asked.",
            vi="Hai mã phải thuộc cùng một hệ mã, là hệ được hỏi.",
            expression=("codingB",),
        )
    if not concepts.has_subsumption:
        raise Unprocessable(
            f"The hierarchy of {concepts.system} does not say what is a kind of what.",
            vi=f"Phân cấp của {concepts.system} không nói mã nào bao hàm mã nào.",
        )
    return answered([("outcome", "valueCode", _outcome(concepts, a.code, b.code))])


def _outcome(concepts: Concepts, code_a: str, code_b: str) -> str:
    a, b = found_code(concepts, code_a), found_code(concepts, code_b)
    if a == b:
        return "equivalent"
    if a in concepts.above(b):
        return "subsumes"
    return "subsumed-by" if b in concepts.above(a) else "not-subsumed"


def _codes(sent: Given) -> tuple[Coded, Coded]:
    with_coding = [name for name in ("codingA", "codingB") if name in sent]
    if len(with_coding) == 1 or (with_coding and ("codeA" in sent or "codeB" in sent)):
        raise Invalid(
            "Give codeA and codeB with their system, or codingA and codingB.",
            vi="Hãy gửi codeA và codeB cùng system, hoặc codingA và codingB.",
            expression=with_coding,
        )
    if with_coding:
        return coded_of(sent.one("codingA")), coded_of(sent.one("codingB"))
    system, version = sent.one("system", ""), sent.one("version", "")
    a, b = (Coded(system, needed(sent, name), version=version) for name in ("codeA", "codeB"))
    return a, b


ROUTES = (
    Route(_DEFINITION, "GET", "CodeSystem/$subsumes", subsumes),
    Route(_DEFINITION, "POST", "CodeSystem/$subsumes", subsumes),
    Route(_DEFINITION, "GET", "CodeSystem/{id}/$subsumes", subsumes),
    Route(_DEFINITION, "POST", "CodeSystem/{id}/$subsumes", subsumes),
)
