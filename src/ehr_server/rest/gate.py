"""Whether a caller may ask for a deed at all, before it begins: by the row of the route table.

Of which resources, the queries (`access.restrict`) and the write path (`changes.permits`) say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.access.caller import Caller
    from ehr_server.access.rights import Rights
    from ehr_server.call import Route

# By interaction the letters of `cruds`, of which one must be granted of the type; those of a Bundle
# are asked of each entry. https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
_LETTERS = {
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "search-type": "s",
    "search-compartment": "s",
    "search-system": "s",
    "history-type": "s",
    "history-system": "s",
    "create": "c",
    "update": "cu",
    "patch": "u",
    "delete": "d",
}
_OPEN = frozenset(("capabilities", "transaction"))
_OF_ALL = frozenset(("history-type", "history-system"))
# What is written beside the write path needs a scope for it too; what removes a whole record, be it
# readable or not, one for all of it.
_BESIDE = {"import": "c"}
_WHOLE = {"purge": "d"}
_BY_EXPORT = frozenset(("export", "group-export", "patient-export", "patient-record-export",
                        "$viewdefinition-export", "$viewdefinition-run"))  # fmt: skip


def admitted(route: Route, parts: Mapping[str, str], caller: Caller) -> Caller:
    """The caller as the deed sees them. Raises `Forbidden` for what they may not ask for."""
    rights = caller.narrowing
    if rights is None or route.interaction in _OPEN:
        return caller
    name = route.interaction.rpartition("/")[2]
    if name in _LETTERS:
        if not _is_granted(name, parts, rights):
            raise _forbidden(rights, name, parts.get("member", parts.get("type", "")))
        return caller
    is_granted = name not in _BESIDE or rights.anywhere(_BESIDE[name])
    is_whole = name not in _WHOLE or rights.covers_records(_WHOLE[name])
    if not (rights.may(name) and is_granted and is_whole):
        raise _forbidden(rights, name, parts.get("type", ""))
    return caller.for_export() if name in _BY_EXPORT else caller


def _is_granted(name: str, parts: Mapping[str, str], rights: Rights) -> bool:
    """Of a history of many, everything must be open: a version has no row that a query could be
    narrowed by."""
    type_name = parts.get("member", parts.get("type", "*"))
    if type_name not in definitions().type_number and type_name != "*":
        return True  # there is nothing of it, which the deed says
    if name in _OF_ALL:
        return rights.policy.is_whole if type_name == "*" else rights.is_all(type_name)
    return any(_has(rights, type_name, letter) for letter in _LETTERS[name])


def _has(rights: Rights, type_name: str, letter: str) -> bool:
    if type_name == "*":
        return rights.anywhere(letter)
    return rights.reach(type_name, letter) is not None


def _forbidden(rights: Rights, name: str, type_name: str) -> Forbidden:
    what = f"{name} of {type_name}" if type_name else name
    return Forbidden(
        f"The policy {rights.policy.name}, with the scopes of your token, does not allow {what}.",
        vi=f"Chính sách {rights.policy.name} cùng phạm vi trong token không cho phép {what}.",
    )
