"""Nothing tells a caller of what they may not read.

No query finds, counts, sorts by or brings along what a plain read by that caller would refuse; and
what is more: every answer is the same, byte for byte, as that of a record in which those resources
never were. Records, callers and requests are made by seeds.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from databases import PostgreSQL, open_folder
from inside import HERE, Told, caller
from properties.leak_exports import exported
from properties.leak_requests import Asking, Requests
from properties.leak_worlds import Identity, Pair, Worlds, some_caller, world

# What differs between two records of the same: times, numbers of pages, ids that the server gave.
_TIME = re.compile(rb'"(lastUpdated|timestamp|recorded|authoredOn|lastModified)":"[^"]*"')
_PAGE = re.compile(rb'(_page|_sealed)=[^"&]*')
_ID = re.compile(rb"\b[0-9a-hjkmnp-tv-z]{26}\b")
_PAGES = 3
_URN = re.compile(rb"urn:uuid:[0-9a-f-]{36}|[0-9a-f]{64}")  # and a digest


@pytest.fixture
def worlds(given_postgresql: PostgreSQL) -> Iterator[Worlds]:
    with open_folder() as folder:
        yield Worlds(given_postgresql, folder)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_answer_is_as_if_it_never_was(worlds: Worlds, seed: int) -> None:
    answers = _compare(worlds, seed, 3, (90, 15))
    assert answers[200] > 0.3 * answers.total()  # else the law would be kept by refusing all


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 11))
def test_the_answer_is_as_if_it_never_was_at_length(worlds: Worlds, seed: int) -> None:
    answers = _compare(worlds, seed, 8, (300, 60))
    assert answers[200] > 0.3 * answers.total()


_SINCE = "_since=2020-01-01T00:00:00Z"
_EXPORTS = (
    f"GET $export?{_SINCE}", f"GET Patient/$export?{_SINCE}", "GET Group/r1/$export",
    "GET $export?_type=Observation&_typeFilter=Observation?status=final",
    "GET $export?includeAssociatedData=LatestProvenanceResources",
    "GET Patient/r2/$export", "GET Patient/r4/$export",
)  # fmt: skip
_EXPORTERS = (
    {"policy": "unlabelled"},
    {"policy": "everything", "scopes": ("system/Observation.rs?status=final", "system/Patient.rs")},
    {"policy": "everything", "scopes": ("system/Condition.rs", "system/Provenance.rs")},
    {"policy": "everything", "scopes": ("patient/*.rs",), "patient": "r2"},
    {"policy": "person", "patient": "r4", "scopes": ("patient/*.rs",)},
)  # fmt: skip


def test_an_export_is_as_if_it_never_was(worlds: Worlds) -> None:
    """What was deleted, too: of who may read a part of a type nothing is told of it."""
    _compare_exports(worlds, 2, _EXPORTERS[:2], _EXPORTS[:1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("facts", _EXPORTERS, ids=range(len(_EXPORTERS)))
def test_exports_are_as_if_it_never_was(
    worlds: Worlds, seed: int, facts: Mapping[str, Any]
) -> None:
    _compare_exports(worlds, seed, (facts,), _EXPORTS)


def _compare_exports(
    worlds: Worlds, seed: int, exporters: Sequence[Mapping[str, Any]], exports: Sequence[str]
) -> None:
    made_of = world(seed)
    with worlds.filled(made_of) as database, open_folder() as folder:
        for facts in exporters:
            with worlds.pair(made_of, database, caller("exporter", **facts)) as pair:
                for asked in exports:
                    one, other = (
                        exported(sides.careful, folder / name, pair.caller, asked)
                        for name, sides in (("whole", pair.whole), ("bare", pair.bare))
                    )
                    assert _timeless(one) == _timeless(other), (facts, asked)


def _timeless(files: dict[str, list[bytes]] | int) -> Any:
    if isinstance(files, int):
        return files
    return {name: sorted(map(normal, lines)) for name, lines in files.items()}


def _compare(worlds: Worlds, seed: int, callers: int, counts: tuple[int, int]) -> Counter[int]:
    """So many callers, each with so many reads and then writes: how often which status was."""
    made_of, chance, answers = world(seed), random.Random(f"callers {seed}"), Counter[int]()
    with worlds.filled(made_of) as database:
        for _ in range(callers):
            who = some_caller(chance)
            with worlds.pair(made_of, database, who) as pair:
                by = random.Random(f"{who.principal}")
                requests = Requests(by, made_of.resources, pair.types)
                for asking in (*requests.reads(counts[0]), *requests.writes(counts[1])):
                    answers.update(_checked(pair, asking))
    return answers


def _checked(pair: Pair, asking: Asking) -> Iterator[int]:
    """The status of the answer, and of the pages that follow it, each as it is without what is
    hidden. (Views of a data team show what its exports do, and a plain read refuses.)"""
    principal = pair.caller.principal
    if "$view" in asking.request and principal is not None and principal.policy == "data-team":
        return
    one, other = both(pair, asking)
    for _ in range(_PAGES):
        about = (principal, asking)
        assert one.status < 500 or one.status == 501, (about, one.body)
        assert shown(one) == shown(other), about
        assert not pair.hidden & set(_told(one)), about
        yield one.status
        links = [_next(told) for told in (one, other)]
        if None in links:
            return
        sides = (pair.whole.careful, pair.bare.careful)
        one, other = (
            here.ask(pair.caller, f"GET {link}") for here, link in zip(sides, links, strict=True)
        )


def _next(told: Told) -> str | None:
    links = (told.resource or {}).get("link", ())
    found = [one["url"] for one in links if one.get("relation") == "next"]
    return found[0].removeprefix(f"{HERE}/") if found else None


def _told(told: Told) -> Iterator[Identity]:
    """The resources in an answer, by type and id."""
    sent = told.resource or {}
    entries = sent.get("entry", ()) if sent.get("type") != "document" else ()
    for resource in (sent, *(one.get("resource", {}) for one in entries)):
        if isinstance(resource, dict) and "id" in resource:
            yield resource["resourceType"], resource["id"]


def both(pair: Pair, asking: Asking) -> list[Told]:
    """The two answers. That something hidden refers to what is deleted cannot be kept from who
    deletes it, where the references are looked after."""
    is_lax = asking.request.startswith("DELETE")
    sides = (pair.whole.lax, pair.bare.lax) if is_lax else (pair.whole.careful, pair.bare.careful)
    asked = (asking.request, asking.body)
    return [here.ask(pair.caller, *asked, **asking.headers) for here in sides]


def shown(told: Told) -> tuple[int, bytes, str, str]:
    """What of an answer does not differ by chance."""
    location = normal(told.headers.get("Location", "").encode()).decode()
    return told.status, normal(told.body), told.headers.get("ETag", ""), location


def normal(text: bytes) -> bytes:
    """Without times, pages and ids that the server gave."""
    text = _TIME.sub(rb'"\1":""', text)
    return _URN.sub(b"urn", _ID.sub(b"new", _PAGE.sub(rb"\1=", text)))
