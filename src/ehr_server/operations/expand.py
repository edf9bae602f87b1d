"""$expand: the codes of a value set. https://hl7.org/fhir/R4/valueset-operation-expand.html

Of a value set that is loaded (`url`), stored here (by its address) or sent along (`valueSet`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.parameters import Given, Known
from ehr_server.operations.given import asked, canonical, refuse, stored
from ehr_server.terminology.listing import Wish, expanded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.terminology.expansion import Group

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/ValueSet-expand"
_KNOWN = {
    "url": Known("uri"),
    "valueSet": Known("ValueSet"),
    "valueSetVersion": Known("string"),
    "context": Known("uri"),
    "contextDirection": Known("code"),
    "filter": Known("string"),
    "date": Known("dateTime"),
    "offset": Known("integer"),
    "count": Known("integer"),
    "includeDesignations": Known("boolean"),
    "designation": Known("string", is_list=True),
    "includeDefinition": Known("boolean"),
    "activeOnly": Known("boolean"),
    "excludeNested": Known("boolean"),
    "excludeNotForUI": Known("boolean"),
    "excludePostCoordinated": Known("boolean"),
    "displayLanguage": Known("code"),
    "exclude-system": Known("canonical", is_list=True),
    "system-version": Known("canonical", is_list=True),
    "check-system-version": Known("canonical", is_list=True),
    "force-system-version": Known("canonical", is_list=True),
}
_REFUSED = {
    "context": ("name the value set by url", "hãy nêu bộ giá trị bằng url"),
    "contextDirection": ("name the value set by url", "hãy nêu bộ giá trị bằng url"),
    "date": ("what is loaded now is expanded", "chỉ triển khai nội dung hiện đang nạp"),
    "designation": ("ask for includeDesignations", "hãy dùng includeDesignations"),
    "exclude-system": ("exclude it in valueSet", "hãy loại trừ trong valueSet"),
    **dict.fromkeys(
        ("system-version", "check-system-version", "force-system-version"),
        ("say the version in valueSet", "hãy nêu phiên bản trong valueSet"),
    ),
}


def expand(call: Call) -> Answer:
    """200 with the ValueSet and its expansion; flat, in pages where `count` or `offset` is given,
    unless `excludeNested` is false.

    Raises `NotFound` for a value set that is not loaded, `NotLoaded` for one that draws on a
    system that is not, `TooCostly` for more than 10,000 codes without `count`.
    """
    sent = asked(call, _KNOWN)
    for name, (text, vi) in _REFUSED.items():
        refuse(sent, name, text, vi)
    value_set, groups = _meant(call, sent)
    listing = expanded(groups, _wish(sent))
    moment = clock.now()
    stamp = {"identifier": f"urn:ehr-server:{clock.new_id()}", "timestamp": clock.instant(moment)}
    extension = {"extension": listing.pop("extension")} if "extension" in listing else {}
    listing["parameter"] = [*_echoed(sent), *listing["parameter"]]
    left_out = {"text", "expansion"}
    if not sent.one("includeDefinition", otherwise=False):
        left_out.add("compose")
    shown = {name: value for name, value in value_set.items() if name not in left_out}
    if not listing["parameter"]:
        del listing["parameter"]
    return Answer(200, json.write({**shown, "expansion": {**extension, **stamp, **listing}}))


def _meant(call: Call, sent: Given) -> tuple[dict[str, Any], Sequence[Group]]:
    """The value set and its codes."""
    ways = [name for name in ("url", "valueSet") if name in sent]
    terminology = call.means.rulebook.terminology
    if "id" in call.parts and not ways:
        value_set = stored(call, "ValueSet")
        return value_set, terminology.groups_of(value_set)
    if len(ways) != 1 or "id" in call.parts:
        raise Invalid(
            "Name one value set: by url, as valueSet, or by the address ValueSet/ID/$expand.",
            vi="Hãy nêu đúng một bộ giá trị: bằng url, valueSet, hoặc địa chỉ ValueSet/ID/$expand.",
            expression=ways or ("url",),
        )
    if ways == ["valueSet"]:
        value_set = sent.one("valueSet")
        return value_set, terminology.groups_of(value_set)
    url = canonical(sent, "valueSetVersion")
    groups = terminology.groups(url)
    found = call.means.rulebook.catalog.find("ValueSet", url)
    implied = {"resourceType": "ValueSet", "url": url, "status": "active"}
    return found.resource() if found is not None else implied, groups


def _wish(sent: Given) -> Wish:
    return Wish(
        sent.one("filter", ""),
        sent.one("offset", 0),
        sent.one("count"),
        sent.one("displayLanguage", ""),
        sent.one("includeDesignations", otherwise=False),
        sent.one("activeOnly", otherwise=False),
        sent.one("excludeNotForUI", otherwise=False),
        not sent.one("excludeNested", otherwise=True),
    )


def _echoed(sent: Given) -> list[dict[str, Any]]:
    """The parameters that shaped the expansion."""
    return [
        {"name": name, f"value{_KNOWN[name].type.capitalize()}": sent.one(name)}
        for name in sent.values
        if _KNOWN[name].type in ("string", "boolean", "integer", "code")
    ]


ROUTES = (
    Route(_DEFINITION, "GET", "ValueSet/$expand", expand),
    Route(_DEFINITION, "POST", "ValueSet/$expand", expand),
    Route(_DEFINITION, "GET", "ValueSet/{id}/$expand", expand),
    Route(_DEFINITION, "POST", "ValueSet/{id}/$expand", expand),
)
