"""Updates by identifier, and references to what is not here yet.

With `--match=identifier` a resource updates the one live resource that holds one of its
identifiers, as a conditional update does (https://hl7.org/fhir/R4/http.html#cond-update); where
none does it is created under its own id. What the source calls it is kept, so that its references
are put right, whichever line comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import scan
from ehr_server.changes.resolve import ids_meant
from ehr_server.definitions import definitions
from ehr_server.intake.ids import Identity, meant
from ehr_server.intake.units import Unit
from ehr_server.search.escapes import escape
from ehr_server.store import import_ as kept
from ehr_server.store.connect import Connection
from ehr_server.store.read import places

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def ask(change: Change) -> None:
    """Let an update be of what holds one of the identifiers, where it has any."""
    resource = change.resource
    if change.deed != "update" or resource is None or change.criteria is not None:
        return
    if change.type not in definitions().type_number:
        return
    held = resource.get("identifier")
    values = [
        f"{escape(one['system'])}|{escape(one['value'])}"
        for one in (held if isinstance(held, list) else [held])
        if isinstance(one, dict) and one.get("use") != "old"
        if isinstance(one.get("system"), str) and isinstance(one.get("value"), str)
        if one["system"] and one["value"]
    ]
    if values:
        change.criteria = f"identifier={quote(','.join(values), safe='')}"


def met(means: Means, source: str, units: Sequence[Unit]) -> dict[Identity, str]:
    """Give the changes the ids of those that hold their identifiers, and put their references
    right; what is called otherwise than here.

    Raises `Invalid` for identifiers that cannot be asked for.
    """
    changes = [change for unit in units for change in unit.changes]
    sought = [change for change in changes if change.deed == "update" and change.criteria]
    with means.store.connection() as connection:
        found = ids_meant(means, connection, sought) if sought else []
        own = places(connection, [one.identity for one in sought])
        called: dict[Identity, str] = {}
        for change, ids in zip(sought, found, strict=True):
            given = change.identity
            if len(ids) == 1 and ids[0] != given[1]:
                called[given] = ids[0]
                change.id = ids[0]
                change.resource = {**(change.resource or {}), "id": ids[0]}
            elif not ids and given in own and own[given].live:
                change.criteria = None  # it is here, and its identifiers are new
        _call_rightly(connection, source, changes, called)
    return called


def targets(unit: Unit, base: str) -> set[Identity]:
    """What the references of a unit lead to, itself left out."""
    own = {change.identity for change in unit.changes if change.id}
    urls = {change.full_url for change in unit.changes}
    found = set()
    for reference in _references(unit.changes):
        to = None if reference["reference"] in urls else meant(reference, base)
        if to is not None and not to[1] and to[0][0] in definitions().type_number:
            found.add(to[0])
    return found - own


def absent(connection: Connection, identities: set[Identity]) -> set[Identity]:
    """Those that are not here, or not any more."""
    there = places(connection, identities)
    return {one for one in identities if one not in there or not there[one].live}


def remove(unit: Unit, gone: set[Identity], base: str) -> list[tuple[str, Identity]]:
    """Remove the references to what is not here; the type that had each, and where it led. What
    else they say stays: a display, an identifier; one that says nothing else says that it is not
    known."""
    found = []
    for change in unit.changes:
        for reference in _references([change]):
            to = meant(reference, base)
            if to is not None and to[0] in gone:
                found.append((change.type, to[0]))
                del reference["reference"]
                if not reference.keys() - {"type"}:
                    reference["extension"] = [{"url": ABSENT, "valueCode": "unknown"}]
    return found


def _call_rightly(
    connection: Connection,
    source: str,
    changes: Sequence[Change],
    called: dict[Identity, str],
) -> None:
    references = [
        (one, to)
        for one in _references(changes)
        if not one["reference"].startswith("urn:") and (to := meant(one, "")) is not None
    ]
    known = kept.aliases(connection, source, sorted({to[0] for _, to in references})) | called
    for reference, ((type_name, id_), rest) in references:
        id_ = known.get((type_name, id_), id_)
        reference["reference"] = f"{type_name}/{id_}{rest}"


def _references(changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    for change in changes:
        if change.resource is not None:
            yield from scan(change.resource, {})[0]
