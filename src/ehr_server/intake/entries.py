"""What a JSON text asks for: the changes of a resource, or of the entries of a Bundle. Pure.

https://hl7.org/fhir/R4/bundle.html. A line that is a Bundle of an openable type stands for its
entries; other Bundles (documents, messages) are resources as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ehr_server.changes.change import Change
from ehr_server.changes.links import scan
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir.references import parse
from ehr_server.intake.ids import Assigned, meant, with_origin
from ehr_server.intake.wish import Wish

OPENED = ("transaction", "batch", "collection", "searchset")
_URN = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class Text:
    """A JSON text read: its `value`, its words, and the place that tells it from all others."""

    value: Any
    data: bytes
    place: str


def changes_of(text: Text, wish: Wish, base: str) -> list[Change]:
    """The changes, each with its `where` in the text. Raises `Invalid` with the place."""
    value = text.value
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Invalid(
            "Not a FHIR resource: an object with resourceType is expected.",
            vi="Không phải tài nguyên FHIR: cần một đối tượng có resourceType.",
        )
    assigned = Assigned(wish.source) if wish.ids == "assign" else None
    if value["resourceType"] == "Bundle" and value.get("type") in OPENED:
        changes = [
            _entry(index, entry, (assigned, text)) for index, entry in enumerate(_entries(value))
        ]
        known = _known(changes)
    else:
        name = value["resourceType"]  # of a sender, who may have mistaken a number for it
        where = name if name in definitions().type_number else "Resource"
        changes, known = [_kept(value, where, None, (assigned, text))], set()
    if wish.source:
        _say_source(changes, wish.source)
    if assigned is not None or (not known and _URN.encode() in text.data):
        _put_right(changes, known, assigned, base)
    return changes


def _entries(bundle: dict[str, Any]) -> list[Any]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid(
            "The entries of a Bundle are a JSON array.",
            vi="Các mục của Bundle phải là một mảng JSON.",
            expression=("Bundle.entry",),
        )
    return entries


Told = tuple[Assigned | None, Text]


def _entry(index: int, entry: Any, told: Told) -> Change:
    where = f"Bundle.entry[{index}]"
    entry = entry if isinstance(entry, dict) else {}
    full_url, request = entry.get("fullUrl", ""), entry.get("request", {})
    criteria = request.get("ifNoneExist") if isinstance(request, dict) else 0
    if not isinstance(full_url, str) or not isinstance(criteria, str | None):
        raise Invalid(
            "fullUrl and request.ifNoneExist are texts.",
            vi="fullUrl và request.ifNoneExist phải là chuỗi ký tự.",
            expression=(where,),
        )
    resource = entry.get("resource")
    if resource is None and request.get("method") == "DELETE":
        return _deleted(request, where, told[0])
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Invalid(
            "An entry without a resource; the only one that may be so deletes Type/id.",
            vi="Mục không có tài nguyên; chỉ mục xóa Type/id mới được như vậy.",
            expression=(where,),
        )
    change = _kept(resource, f"{where}.resource", full_url, told, needs_id=criteria is None)
    change.full_url = full_url
    change.if_none_exist = criteria
    if criteria is not None:
        change.deed = "create"
        change.id = None
    return change


def _deleted(request: dict[str, Any], where: str, assigned: Assigned | None) -> Change:
    """As an export tells what was deleted: https://hl7.org/fhir/uv/bulkdata/export.html."""
    url = request.get("url")
    to = parse(url) if isinstance(url, str) else None
    if to is None or to.kind != "local" or not to.type or not to.id or to.version:
        raise Invalid(
            "A delete in a file to import names one resource, as Type/id.",
            vi="Mục xóa trong tệp phải nêu một tài nguyên, dạng Type/id.",
            expression=(f"{where}.request.url",),
        )
    id_ = assigned.of(to.type, to.id) if assigned is not None else to.id
    return Change("delete", to.type, id_, where=f"{where}.resource")


def _kept(
    resource: dict[str, Any], where: str, full_url: str | None, told: Told, *, needs_id: bool = True
) -> Change:
    """A resource under the id it has, or is assigned."""
    type_name = resource["resourceType"]
    given = resource.get("id") if "id" in resource else _id_in(full_url or "", type_name)
    assigned, text = told
    if assigned is not None and given is None:
        id_ = assigned.of_words(type_name, text.data, f"{text.place} {where}")
    elif not isinstance(given, str) or not given:
        if needs_id:
            raise Invalid(
                "A resource to import needs its id; or have ids assigned (--ids=assign, the "
                "parameter ids).",
                vi="Tài nguyên cần có id; hoặc yêu cầu cấp id (--ids=assign, tham số ids).",
                expression=(f"{where}.id",),
            )
        id_ = ""
    elif assigned is not None:
        id_ = assigned.of(type_name, given)
        if assigned.source:
            resource = with_origin(resource, assigned.source, given)
    else:
        id_ = given
    if id_ and resource.get("id") != id_:
        resource = {**resource, "id": id_}
    return Change("update", type_name, id_, resource, where)


def _id_in(full_url: str, type_name: str) -> str | None:
    """The id that a fullUrl names."""
    if full_url.startswith(_URN):
        return full_url.removeprefix(_URN)
    found = parse(full_url) if full_url else None
    return found.id if found is not None and found.type == type_name else None


def _known(changes: list[Change]) -> set[str]:
    """What references within a Bundle may call its entries: `changes.resolve` follows them."""
    known = set()
    for change in changes:
        if change.full_url:
            known.add(change.full_url)
            if change.if_none_exist is not None:
                known.add("/".join(change.full_url.rsplit("/", 2)[1:]))
    return known


def _say_source(changes: list[Change], source: str) -> None:
    """https://github.com/smart-on-fhir/bulk-import/blob/master/import.md#preserving-resource-provenance"""
    for change in changes:
        if change.resource is not None:
            meta = change.resource.get("meta", {})
            if isinstance(meta, dict) and "source" not in meta:
                change.resource = {**change.resource, "meta": {**meta, "source": source}}


def _put_right(
    changes: list[Change], known: set[str], assigned: Assigned | None, base: str
) -> None:
    for change in changes:
        for reference in scan(change.resource, {})[0] if change.resource is not None else ():
            found = None if reference["reference"] in known else meant(reference, base)
            if found is not None:
                (type_name, id_), rest = found
                id_ = assigned.of(type_name, id_) if assigned is not None else id_
                reference["reference"] = f"{type_name}/{id_}{rest}"
