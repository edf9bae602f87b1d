"""Whether a resource tells of what is restricted, and of what: `("HIV",)`.

https://hl7.org/fhir/R4/security-labels.html. A sender labels what is sensitive (`meta.security`),
or the codes in it say so. Reasons are codes of `v3-ActCode` (InformationSensitivityPolicy), such as
HIV, PSY or ETH; `R` and `V` of `v3-Confidentiality` where a label says no more than that. What
they are told by is data, `restricted.json` beside this file, each list with its source.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ehr_server.fhir import json

_FILE = Path(__file__).with_name("restricted.json")


class _Table(NamedTuple):
    labels: dict[tuple[str, str], str]  # (system, code) of meta.security -> reason
    codes: dict[str, dict[str, str]]  # system -> code -> reason
    prefixes: dict[str, tuple[tuple[str, str], ...]]  # system -> (what a code begins with, reason)


def is_restricted(resource: dict[str, Any]) -> tuple[str, ...]:
    """The reasons why a resource is restricted, sorted; () for most, which cost microseconds.

    The labels of the resource and of what is contained in it count, and every Coding anywhere in
    it: a reason of an Encounter tells as much as a Condition. Texts are not read.
    """
    table = _table()
    codes, labels = table.codes, table.labels
    found: set[str] = set()
    level: list[Any] = [resource]
    while level:
        node = level.pop()
        if type(node) is dict:
            code = node.get("code")
            if type(code) is str:
                system = node.get("system")
                if type(system) is str and (system in codes or (system, code) in labels):
                    found |= _told(table, system, code)
            node = node.values()
        level += [child for child in node if type(child) is dict or type(child) is list]
    return tuple(sorted(found))


@cache
def reasons() -> frozenset[str]:
    """All reasons that there can be."""
    table = _table()
    found = set(table.labels.values())
    for exact in table.codes.values():
        found |= set(exact.values())
    for starts in table.prefixes.values():
        found |= {reason for _, reason in starts}
    return frozenset(found)


def reason_of_label(system: str, code: str) -> str | None:
    """The reason that a label says, by its system and code; None for one that restricts nothing."""
    return _table().labels.get((system, code))


def _told(table: _Table, system: Any, code: str) -> set[str]:
    reason = table.labels.get((system, code)) or _of_code(table, system, code.upper())
    return set() if reason is None else {reason}


def _of_code(table: _Table, system: str, code: str) -> str | None:
    found = table.codes.get(system, {}).get(code)
    if found is not None:
        return found
    starts = table.prefixes.get(system, ())
    return next((reason for start, reason in starts if code.startswith(start)), None)


@cache
def _table() -> _Table:
    read = json.read_own(_FILE.read_bytes())
    labels = {
        (one["system"], code): one["reasons"].get(code, code)
        for one in read["labels"]
        for code in one["codes"]
    }
    codes: dict[str, dict[str, str]] = {}
    prefixes: dict[str, list[tuple[str, str]]] = {}
    for row in read["codes"]:
        for system in row["systems"]:
            exact = codes.setdefault(system, {})
            exact.update({code.upper(): row["reason"] for code in row.get("codes", ())})
            starts = prefixes.setdefault(system, [])
            starts += [(start.upper(), row["reason"]) for start in row.get("prefixes", ())]
    return _Table(labels, codes, {system: tuple(rows) for system, rows in prefixes.items()})
