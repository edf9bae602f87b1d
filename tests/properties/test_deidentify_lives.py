"""Whole lives under a policy: a commune's checkups, and Synthea's records where there are any."""

import gzip
import re
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from campaign import Plan, bundles
from ehr_server.deidentify import Deidentify, policy
from ehr_server.fhir import json
from ehr_server.validation.rulebook import Rulebook

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
RESIDENTS = 25
BUNDLES = sorted(Path(__file__).parents[3].glob("shared/data/synthea-r4/*.json.gz"))
BUNDLES_MAX = 3
Life = tuple[str, list[dict[str, Any]]]  # the id of the Patient, all resources of the person

# What holds urls and names of types, whose words narratives have as well.
_OF_THE_STANDARD = frozenset(("resourceType", "system", "url"))
_CODES = {"normal"}  # a word of narratives, and a code
# A pseudonym is 32 consonants, in which four of them are found by chance.
_LIKE_A_PSEUDONYM = re.compile("[b-df-hj-np-t]{4,6}").fullmatch
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?").fullmatch
_WORD = re.compile(r"[^\W\d_]{4,}|[0-9]{6,}")


@cache
def _lives() -> list[Life]:
    """People with all that was found of them, as it is stored: links within a push resolved."""
    campaign = bundles(Plan(residents=RESIDENTS, years=2, last_year=2026))
    pushes = [json.read(json.write(bundle)) for bundle in campaign]
    pushes += [json.read(gzip.decompress(path.read_bytes())) for path in BUNDLES[:BUNDLES_MAX]]
    found = [life for push in pushes if (life := _life(push["entry"])) is not None]
    assert len(found) > RESIDENTS
    return found


def _life(entries: list[dict[str, Any]]) -> Life | None:
    named = [entry for entry in entries if entry.get("fullUrl", "").startswith("urn:uuid:")]
    for entry in named:
        entry["resource"]["id"] = entry["fullUrl"].removeprefix("urn:uuid:")
    several = [entry["resource"] for entry in named]
    ids = {entry["fullUrl"]: "{resourceType}/{id}".format_map(entry["resource"]) for entry in named}
    patients = [one for one in several if one["resourceType"] == "Patient"]
    return (patients[0]["id"], [_linked(one, ids) for one in several]) if patients else None


def _linked(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: ids.get(inner, inner)
            if name == "reference" and isinstance(inner, str)
            else _linked(inner, ids)
            for name, inner in value.items()
        }
    return [_linked(one, ids) for one in value] if isinstance(value, list) else value


def _of(name: str, key: bytes = KEY, **changes: Any) -> Deidentify:
    return replace(policy(name), **changes).of(key, year=2026, may_tell=lambda _: True)


def _left(life: Life, of: Deidentify) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    person, several = life
    return [(one, left) for one in several if (left := of(one, person)) is not None]


def _secrets(life: Life) -> set[str]:
    """Words of four letters, numbers of six digits and more, and whole values, of what is a
    person's: names, telephones, streets, numbers, ids, the day of birth, narratives, notes."""
    secrets: set[str] = set()
    for one in life[1]:
        secrets.add(one["id"])
        telling = [
            one.get(name) for name in ("name", "telecom", "contact", "text", "note", "photo")
        ]
        telling += [
            [address.get(part) for part in ("text", "line", "city", "district", "postalCode")]
            for address in one.get("address", ())
        ]
        telling += [number["value"] for number in _every("value", one.get("identifier"))]
        texts = list(_texts(telling))
        secrets.update(text.casefold() for text in texts if len(text) >= 4)
        words = {word.casefold() for text in texts for word in _WORD.findall(text)}
        secrets |= {word for word in words - _CODES if not _LIKE_A_PSEUDONYM(word)}
        if "birthDate" in one:
            secrets.add(one["birthDate"])
    return secrets


def _every(name: str, value: Any) -> list[dict[str, Any]]:
    several = value if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, dict) and name in one]


def _texts(value: Any, but: frozenset[str] = frozenset(("use", "system", "status"))) -> Any:
    """All texts, without those of the elements `but`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in but:
                yield from _texts(inner, but)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, but)


@pytest.mark.parametrize("name", ["research", "statistics"])
def test_no_word_of_a_person_is_left(name: str) -> None:
    """Displays aside, which are texts of public code lists and hold such words as other texts do;
    the province too, which is told on purpose."""
    of = _of(name, displays="drop", addresses="country")
    for life in _lives():
        secrets = _secrets(life)
        assert len(secrets) > 20
        for _, left in _left(life, of):
            text = "\n".join(_texts(left, but=_OF_THE_STANDARD)).casefold()
            assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize("name", ["research", "statistics"])
def test_what_is_left_is_valid(name: str) -> None:
    rulebook, of = Rulebook(), _of(name)
    for life in _lives()[:12]:
        for source, left in _left(life, of):
            left = json.read(json.write(left))
            found = [issue for issue in rulebook.check(left) if issue.severity == "error"]
            assert found == [], source["resourceType"]


def _dates(source: Any, left: Any) -> Any:
    if isinstance(source, dict) and isinstance(left, dict):
        for name in source.keys() & left.keys():
            yield from _dates(source[name], left[name])
    elif isinstance(source, list) and isinstance(left, list) and len(source) == len(left):
        for one, other in zip(source, left, strict=True):
            yield from _dates(one, other)
    elif isinstance(source, str) and isinstance(left, str) and _DATE(source) and _DATE(left):
        yield source, left


def _shifts(life: Life, of: Deidentify) -> set[int]:
    pairs = [pair for one in _left(life, of) for pair in _dates(*one)]
    assert len(pairs) > 10
    assert all(before[10:] == after[10:] for before, after in pairs), "times of day stay"
    return {
        (date.fromisoformat(after[:10]) - date.fromisoformat(before[:10])).days
        for before, after in pairs
    }


def test_the_time_between_two_dates_of_a_person_stays_what_it_was() -> None:
    found = [_shifts(life, _of("research")) for life in _lives()]
    assert all(len(days) == 1 for days in found)
    days = [next(iter(one)) for one in found]
    assert all(-364 <= one <= -1 for one in days)
    assert len(set(days)) > len(days) // 2, "people's dates move apart"


def test_weekdays_stay_where_the_policy_says_so() -> None:
    found = [_shifts(life, _of("research", weekday="keep")) for life in _lives()]
    assert all(len(days) == 1 and next(iter(days)) % 7 == 0 for days in found)


def test_under_another_key_the_dates_move_otherwise() -> None:
    one, other = _of("research"), _of("research", OTHER_KEY)
    same = [_shifts(life, one) == _shifts(life, other) for life in _lives()]
    assert sum(same) < len(same) // 4


def test_statistics_tell_years_alone() -> None:
    for life in _lives():
        for _, left in _left(life, _of("statistics")):
            text = json.write(left).decode()
            assert set(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T?[^\"]*", text)) <= {
                f"{year}-01-01T00:00:00Z" for year in range(1900, 2027)
            }


def test_references_lead_to_what_they_led_to() -> None:
    of = _of("research")
    for life in _lives():
        new = {f"{one['resourceType']}/{one['id']}" for _, one in _left(life, of)}
        old = {f"{one['resourceType']}/{one['id']}" for one, _ in _left(life, of)}
        met = 0
        for source, left in _left(life, of):
            before = [to for to in _references(source) if to in old]
            after = [to for to in _references(left) if to in new]
            assert len(before) == len(after)
            met += len(after)
        assert met > 20


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [to for inner in value.values() for to in _references(inner)]
    return [to for one in value for to in _references(one)] if isinstance(value, list) else []


def test_two_runs_give_the_same_bytes_and_another_key_nothing_in_common() -> None:
    for life in _lives()[:5]:
        one, again, other = (
            [json.write(left) for _, left in _left(life, _of("research", key))]
            for key in (KEY, KEY, OTHER_KEY)
        )
        assert one == again
        ids = [{json.read(content)["id"] for content in several} for several in (one, other)]
        assert not ids[0] & ids[1]


def test_what_is_given_is_not_changed() -> None:
    person, several = _lives()[0]
    before = json.write(several)
    for one in several:
        _of("research")(one, person)
    assert json.write(several) == before
