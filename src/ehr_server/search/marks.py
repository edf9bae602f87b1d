"""What the narrow row says for access: of which people, and whether it is restricted.

Two bits of `has` above those of the parameters, so that most rows are done with by one look, and
tokens in the array: a mark for each reason why it is restricted (`consent.rule.restricted_mark`),
and the compartments of all whom the resource is about, where they are several. They tell nobody's
number, and stand there as they are where tokens are keyed (`hashing.Tokens`).
"""

from typing import Any

from ehr_server.consent.rule import Seen, restricted_marks
from ehr_server.definitions import definitions
from ehr_server.hashing import own_comp, person_comp
from ehr_server.search.parameters import STANDARD
from ehr_server.search.rows import UNDATED, Rows
from ehr_server.sensitivity import is_restricted

RESTRICTED = 1 << 62
SHARED = 1 << 61
SINCE = 6  # `search.rows.FORMAT` from which on rows have these marks

# Beside those that belong to a person, types that may tell of one.
_PERSONAL = ("Patient", "Binary", "Bundle", "Task", "MessageHeader", "Parameters", "PaymentNotice",
             "GuidanceResponse", "Contract", "Linkage", "Device")  # fmt: skip


def seen(resource: dict[str, Any], rows: Rows, comp: int | None = None) -> Seen:
    """What rules are held against of a resource and its rows; `comp` is the compartment that it
    lies in, where that is known."""
    type_name, id_ = resource["resourceType"], resource["id"]
    comps = {_home(resource, rows) if comp is None else comp}
    if rows.has & SHARED:
        comps |= set(map(person_comp, rows.patients))
    is_dated = rows.d1 is not None and rows.d1 != UNDATED
    return Seen(
        definitions().type_number[type_name],
        own_comp(type_name, id_),
        tuple(sorted(comps)),
        frozenset((*rows.toks, *rows.marks)),
        frozenset(rows.refs),
        rows.d1 if is_dated else None,
        rows.d1e if is_dated else None,
    )


def mark(resource: dict[str, Any], rows: Rows) -> None:
    """Add the marks of a resource to its rows; `rows.patients` are known."""
    type_name = resource["resourceType"]
    # A medication of a list, a value set: its codes tell of nobody; a label counts all the same.
    of = resource if type_name in PERSONAL_TYPES else {"meta": {"security": _labels(resource)}}
    if reasons := is_restricted(of):
        rows.has |= RESTRICTED
        rows.marks += restricted_marks(reasons)
    if len(rows.patients) > 1 and type_name != "Patient":  # whose links are other records
        rows.has |= SHARED
        rows.marks += map(person_comp, rows.patients)


def _labels(resource: dict[str, Any]) -> Any:
    return resource.get("meta", {}).get("security", [])


def _home(resource: dict[str, Any], rows: Rows) -> int:
    if resource["resourceType"] == "Patient":
        return person_comp(resource["id"])
    if rows.patients:
        return person_comp(rows.patients[0])
    return own_comp(resource["resourceType"], resource["id"])


PERSONAL_TYPES = frozenset(
    name
    for name in definitions().resource_types
    if name in _PERSONAL or STANDARD.of(name).compartment
)
