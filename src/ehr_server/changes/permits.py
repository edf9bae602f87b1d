"""Whether the caller may make the changes: by what is there, and by what it would become.

What the caller may not read is, for a delete, not there; an update of it is refused in the words
of any other that may not be, so that the answer tells nothing of what stands in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.access.seen import is_within, seen
from ehr_server.errors import Forbidden
from ehr_server.fhir import json
from ehr_server.store.read import DELETE, Place, makers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ehr_server.access.rights import Rights
    from ehr_server.changes.change import Change, Means
    from ehr_server.store.connect import Connection


def may_change(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Raises `Forbidden` with the place of the first change that the caller may not make; `place`
    and `now` of each are known, and a delete of what they may not read loses both."""
    rights = means.caller.narrowing
    if rights is None:
        return
    written = [change for change in changes if change.matched is None]
    there = [change for change in written if change.place is not None]
    readable, made_by = _looked_up(means, connection, there)
    for change in written:
        place = change.place
        is_hidden = place is not None and place.key not in readable
        if place is not None and is_hidden and (place.live or change.deed == "delete"):
            _hide(change)
            place = None
        is_others = place is not None and not _is_own(means, rights, made_by.get(place.key, ""))
        reach = rights.reach(change.type, _letter(change, place), is_others=is_others)
        is_met = all(is_within(connection, rights, reach, one) for one in _held(change))
        if reach is None or not is_met:
            raise _forbidden(change)


def _letter(change: Change, place: Place | None) -> str:
    if change.deed == "delete":
        return "d"
    return "c" if place is None else "u"


def _looked_up(
    means: Means, connection: Connection, there: Sequence[Change]
) -> tuple[set[int], Mapping[int, str]]:
    """The keys of what the caller may read, and who wrote the first version of each, by key."""
    readable: set[int] = set()
    made_by: dict[int, str] = {}
    for type_name in {change.type for change in there}:
        at = [one.place for one in there if one.type == type_name and one.place is not None]
        readable |= seen(means.store, connection, means.caller, type_name, at)
        made_by |= makers(connection, type_name, at)
    return readable, made_by


def _hide(change: Change) -> None:
    if change.cause is not None:
        raise _forbidden_along(change.cause)
    if change.deed != "delete":
        raise _forbidden(change)
    change.place = change.now = None


def _held(change: Change) -> Iterator[dict[str, Any]]:
    """What is there, and what is to be. What was deleted says nothing."""
    if change.now is not None and change.now.deed != DELETE:
        yield json.read_stored(change.now.content)
    if change.resource is not None:
        yield {**change.resource, "id": change.id}


def _is_own(means: Means, rights: Rights, maker: str) -> bool:
    """Whether the caller made it, or another program of the same facility."""
    _, at, facility = maker.rpartition("@")
    is_same_place = bool(at) and facility == rights.principal.facility
    return is_same_place or maker == means.caller.sender


def _forbidden(change: Change) -> Forbidden:
    deed, deed_vi = _DEEDS[change.deed]
    told = change.type if change.deed == "create" else change.told
    return Forbidden(
        f"You may not {deed} {told}: it is beyond what your policy and your token allow, or another"
        " facility made it.",
        vi=f"Bạn không được {deed_vi} {told}: vượt quá quyền của bạn, hoặc do cơ sở khác tạo.",
        expression=(change.where,),
    )


def _forbidden_along(cause: Change) -> Forbidden:
    """What cannot be read is not named, though it stands in the way."""
    return Forbidden(
        f"You may not delete {cause.told} along with all that refers to it: some of that is beyond "
        "what your policy and your token allow.",
        vi=f"Bạn không được xóa {cause.told} cùng mọi tài nguyên tham chiếu tới nó: một số vượt "
        "quá quyền của bạn.",
        expression=(cause.where,),
    )


_DEEDS = {
    "create": ("create", "tạo"),
    "update": ("change", "sửa"),
    "patch": ("change", "sửa"),
    "delete": ("delete", "xóa"),
}
