"""$validate-code: whether a code is in a value set, or in a code system, and called rightly.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html and
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir.parameters import Given, Known
from ehr_server.operations.codings import CODED, codings
from ehr_server.operations.given import answered, asked, canonical, refuse, stored
from ehr_server.terminology.checking import (
    Coded,
    ValueSetAsked,
    Verdict,
    in_system,
    in_value_set,
)
from ehr_server.terminology.concepts import Concepts, concepts_of
from ehr_server.terminology.refusals import NotLoaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OF_SET = "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code"
_OF_SYSTEM = "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code"
_BOTH = {
    **{name: known for name, known in CODED.items() if name != "system"},
    "url": Known("uri"),
    "date": Known("dateTime"),
    "abstract": Known("boolean"),
    "displayLanguage": Known("code"),
}
_SET_KNOWN = {
    **_BOTH,
    "system": Known("uri"),
    "systemVersion": Known("string"),
    "context": Known("uri"),
    "valueSet": Known("ValueSet"),
    "valueSetVersion": Known("string"),
}
_SYSTEM_KNOWN = {**_BOTH, "version": Known("string"), "codeSystem": Known("CodeSystem")}
_NOW = ("what is loaded now is asked", "chỉ hỏi nội dung hiện đang nạp")


def validate_in_value_set(call: Call) -> Answer:
    """200 with `result`, `message` where it is false, and `display`.

    Of a CodeableConcept one coding that is right is enough. Raises `NotFound` for a value set
    that is not loaded, `NotLoaded` where a system would be needed that is not.
    """
    sent = asked(call, _SET_KNOWN)
    refuse(sent, "date", *_NOW)
    refuse(sent, "context", "name the value set by url", "hãy nêu bộ giá trị bằng url")
    several = codings(sent, version="systemVersion")
    if "code" in sent and not several[0].system:
        raise Invalid(
            "The parameter system is missing: a code is checked together with its system.",
            vi="Thiếu tham số system: mã được kiểm tra cùng với hệ mã của nó.",
            expression=("system",),
        )
    value_set = _value_set(call, sent)
    return _answer(call, several, lambda one: in_value_set(one, value_set))


def validate_in_system(call: Call) -> Answer:
    """As in a value set, of a code system: loaded (`url`), stored or sent along.

    Without `url` each coding is looked up in its own system.
    """
    sent = asked(call, _SYSTEM_KNOWN)
    refuse(sent, "date", *_NOW)
    with_abstract = sent.one("abstract", otherwise=True)
    language = sent.one("displayLanguage", "")
    find = _system(call, sent)

    def verdict(one: Coded) -> Verdict:
        return in_system(one, find(one), with_abstract=with_abstract, language=language)

    return _answer(call, codings(sent), verdict)


def _answer(call: Call, several: Sequence[Coded], ask: Callable[[Coded], Verdict]) -> Answer:
    """The best verdict on any of the codings; if none is right, what could not be said counts
    more than what is wrong."""
    wrong: list[Verdict] = []
    unsaid: NotLoaded | None = None
    for one in several:
        try:
            verdict = ask(one)
        except NotLoaded as refusal:
            unsaid = refusal
            continue
        if verdict.result:
            return answered(
                [("result", "valueBoolean", True), ("display", "valueString", verdict.display)]
            )
        wrong.append(verdict)
    if unsaid is not None:
        raise unsaid
    texts = (one.vi if call.language == "vi" else one.text for one in wrong)
    values: list[tuple[str, str, Any]] = [
        ("result", "valueBoolean", False),
        ("message", "valueString", " ".join(dict.fromkeys(texts))),
        ("display", "valueString", wrong[0].display),
    ]
    return answered(values)


def _value_set(call: Call, sent: Given) -> ValueSetAsked:
    terminology = call.means.rulebook.terminology
    more = (
        terminology.system,
        sent.one("abstract", otherwise=True),
        sent.one("displayLanguage", ""),
    )
    if "valueSet" in sent or "id" in call.parts:
        _refuse_two(call, sent, "valueSet")
        own = sent.one("valueSet") or stored(call, "ValueSet")
        url = own.get("url", "")
        member = terminology.member_of(own)
        return ValueSetAsked(url, member, partial(terminology.groups_of, own), *more)
    if "url" not in sent:
        raise _no_name("url", "valueSet")
    url = canonical(sent, "valueSetVersion")
    return ValueSetAsked(url, terminology.member(url), partial(terminology.groups, url), *more)


def _system(call: Call, sent: Given) -> Callable[[Coded], Concepts]:
    """A function that gives the code system for a coding."""
    if "codeSystem" in sent or "id" in call.parts:
        _refuse_two(call, sent, "codeSystem")
        own = concepts_of(sent.one("codeSystem") or stored(call, "CodeSystem"))
        return lambda _: own
    url = sent.one("url", "")
    if "code" in sent and not url:
        raise _no_name("url", "codeSystem")
    version = sent.one("version", "")

    def find(one: Coded) -> Concepts:
        system, of = url or one.system, version or ("" if url else one.version)
        found = call.means.rulebook.terminology.system(f"{system}|{of}" if of else system)
        if found is None:
            raise _not_here(system)
        return found

    return find


def _not_here(system: str) -> NotFound:
    if not system:
        return NotFound("A coding has no system.", vi="Mã không kèm hệ mã (system).")
    return NotFound(
        f"The code system {system} is not loaded here, so its codes are not checked.",
        vi=f"Hệ mã {system} chưa được nạp vào máy chủ nên mã không được kiểm tra.",
    )


def _refuse_two(call: Call, sent: Given, name: str) -> None:
    if "url" in sent or ("id" in call.parts and name in sent):
        raise _no_name("url", name)


def _no_name(*names: str) -> Invalid:
    listed = ", ".join(names)
    return Invalid(
        f"Say in what to look, by one of: {listed}, or the id in the address.",
        vi=f"Hãy nêu nơi cần tra bằng đúng một trong: {listed}, hoặc id trong địa chỉ.",
        expression=names[:1],
    )


ROUTES = (
    Route(_OF_SET, "GET", "ValueSet/$validate-code", validate_in_value_set),
    Route(_OF_SET, "POST", "ValueSet/$validate-code", validate_in_value_set),
    Route(_OF_SET, "GET", "ValueSet/{id}/$validate-code", validate_in_value_set),
    Route(_OF_SET, "POST", "ValueSet/{id}/$validate-code", validate_in_value_set),
    Route(_OF_SYSTEM, "GET", "CodeSystem/$validate-code", validate_in_system),
    Route(_OF_SYSTEM, "POST", "CodeSystem/$validate-code", validate_in_system),
    Route(_OF_SYSTEM, "GET", "CodeSystem/{id}/$validate-code", validate_in_system),
    Route(_OF_SYSTEM, "POST", "CodeSystem/{id}/$validate-code", validate_in_system),
)
