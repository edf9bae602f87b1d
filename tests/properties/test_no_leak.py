"""Nothing tells a caller of what they may not read.

No query finds, counts, sorts by or brings along what a plain read by that caller would refuse; and
what is more: every answer is the same, byte for byte, as that of a record in which those resources
never were. Records, callers and requests are made by seeds.
"""

import random
import re
from collections.abc import Iterator

import pytest

from databases import PostgreSQL, open_folder
from inside import Told
from properties.leak_requests import Asking, Requests
from properties.leak_worlds import Pair, Worlds, some_caller, world

# What differs between two records of the same: times, numbers of pages, ids that the server gave.
_TIME = re.compile(rb'"(lastUpdated|timestamp|recorded|authoredOn|lastModified)":"[^"]*"')
_PAGE = re.compile(rb'(_page|_sealed)=[^"&]*')
_ID = re.compile(rb"\b[0-9a-hjkmnp-tv-z]{26}\b")
_URN = re.compile(rb"urn:uuid:[0-9a-f-]{36}|[0-9a-f]{64}")  # and a digest


@pytest.fixture
def worlds(given_postgresql: PostgreSQL) -> Iterator[Worlds]:
    with open_folder() as folder:
        yield Worlds(given_postgresql, folder)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_answer_is_as_if_it_never_was(worlds: Worlds, seed: int) -> None:
    _compare(worlds, seed, 4, (60, 15))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 9))
def test_the_answer_is_as_if_it_never_was_at_length(worlds: Worlds, seed: int) -> None:
    _compare(worlds, seed, 8, (300, 60))


def _compare(worlds: Worlds, seed: int, callers: int, counts: tuple[int, int]) -> None:
    """So many callers, each with so many reads and then writes."""
    made_of, chance = world(seed), random.Random(f"callers {seed}")
    with worlds.filled(made_of) as database:
        for _ in range(callers):
            who = some_caller(chance)
            with worlds.pair(made_of, database, who) as pair:
                by = random.Random(f"{who.principal}")
                requests = Requests(by, made_of.resources, pair.types)
                for asking in (*requests.reads(counts[0]), *requests.writes(counts[1])):
                    one, other = both(pair, asking)
                    assert one.status < 500 or one.status == 501, (asking, one.body)
                    assert shown(one) == shown(other), (who.principal, asking)


def both(pair: Pair, asking: Asking) -> list[Told]:
    """The two answers. That something hidden refers to what is deleted cannot be kept from who
    deletes it, where the references are looked after."""
    is_lax = asking.request.startswith("DELETE")
    sides = (pair.whole.lax, pair.bare.lax) if is_lax else (pair.whole.careful, pair.bare.careful)
    asked = (asking.request, asking.body)
    return [here.ask(pair.caller, *asked, **asking.headers) for here in sides]


def shown(told: Told) -> tuple[int, bytes, str, str]:
    """What of an answer does not differ by chance."""
    body = _TIME.sub(rb'"\1":""', told.body)
    body = _URN.sub(b"urn", _ID.sub(b"new", _PAGE.sub(rb"\1=", body)))
    location = _ID.sub(b"new", told.headers.get("Location", "").encode()).decode()
    return told.status, body, told.headers.get("ETag", ""), location
