"""$translate: a code in another system, by a concept map.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir.parameters import Known
from ehr_server.operations.codings import CODED, codings
from ehr_server.operations.given import answered, asked, canonical, needed, refuse, stored
from ehr_server.terminology.mapping import Match, Translation, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ehr_server.fhir.parameters import Given

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate"
_KNOWN = {
    **{name: known for name, known in CODED.items() if name != "display"},
    "url": Known("uri"),
    "conceptMap": Known("ConceptMap"),
    "conceptMapVersion": Known("string"),
    "version": Known("string"),
    "source": Known("uri"),
    "target": Known("uri"),
    "targetsystem": Known("uri"),
    "dependency": Known("part", is_list=True),
    "reverse": Known("boolean"),
}


def translate(call: Call) -> Answer:
    """200 with `result` and a `match` for each concept found; by one map, or by all that are
    loaded and fit `source`, `target` and the systems.

    Raises `NotFound` for a map that is not loaded.
    """
    sent = asked(call, _KNOWN)
    refuse(sent, "dependency", "maps are read by code alone", "chỉ ánh xạ theo mã")
    several = codings(sent)
    if "code" in sent:
        needed(sent, "system")
    wish = Translation(
        sent.one("targetsystem", ""),
        sent.one("source", ""),
        sent.one("target", ""),
        sent.one("reverse", otherwise=False),
        lambda canonical: _loaded(call, canonical),
    )
    maps = list(_maps(call, sent))
    found = list(dict.fromkeys(match for one in several for match in matches(maps, one, wish)))
    is_found = any(match.is_translation for match in found)
    values: list[tuple[str, str, Any]] = [("result", "valueBoolean", is_found)]
    if not is_found:
        values.append(("message", "valueString", _NONE[call.language]))
    return answered([*values, *(("match", "part", _match(one)) for one in found)])


_NONE = {
    "en": "No concept map that is loaded translates this code so.",
    "vi": "Không có bảng ánh xạ nào đã nạp chuyển được mã này theo yêu cầu.",
}


def _maps(call: Call, sent: Given) -> Iterable[Mapping[str, Any]]:
    ways = [name for name in ("url", "conceptMap") if name in sent]
    if len(ways) + ("id" in call.parts) > 1:
        raise Invalid(
            "Name one concept map: by url, as conceptMap, or by its address.",
            vi="Hãy nêu đúng một bảng ánh xạ: bằng url, conceptMap, hoặc địa chỉ của nó.",
            expression=ways,
        )
    if "id" in call.parts:
        return [stored(call, "ConceptMap")]
    if "conceptMap" in sent:
        return [sent.one("conceptMap")]
    if "url" not in sent:
        return (one.resource() for one in call.means.rulebook.catalog.all("ConceptMap"))
    url = canonical(sent, "conceptMapVersion")
    found = _loaded(call, url)
    if found is None:
        raise NotFound(
            f"The concept map {url} is not loaded here.",
            vi=f"Bảng ánh xạ {url} chưa được nạp vào máy chủ.",
        )
    return [found]


def _loaded(call: Call, canonical: str) -> Mapping[str, Any] | None:
    found = call.means.rulebook.catalog.find("ConceptMap", canonical)
    return None if found is None else found.resource()


def _match(one: Match) -> list[tuple[str, str, Any]]:
    parts: list[tuple[str, str, Any]] = [("equivalence", "valueCode", one.equivalence)]
    if one.code:
        parts.append(("concept", "valueCoding", _coding(one.system, one.code, one.display)))
    for property_, system, value in one.product:
        product = [
            ("element", "valueUri", property_),
            ("concept", "valueCoding", _coding(system, value, "")),
        ]
        parts.append(("product", "part", product))
    if one.map:
        parts.append(("source", "valueUri", one.map))
    return parts


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    said = {"system": system, "code": code, "display": display}
    return {name: text for name, text in said.items() if text}


ROUTES = (
    Route(_DEFINITION, "GET", "ConceptMap/$translate", translate),
    Route(_DEFINITION, "POST", "ConceptMap/$translate", translate),
    Route(_DEFINITION, "GET", "ConceptMap/{id}/$translate", translate),
    Route(_DEFINITION, "POST", "ConceptMap/{id}/$translate", translate),
)
