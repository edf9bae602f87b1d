"""$lastn: the newest observations of a person, so many of each kind.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

import random
from typing import Any

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke

VITAL = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs",
        }
    ]
}


def seen(id_: str, date: str | None, *codes: str, text: str | None = None) -> dict[str, Any]:
    """An Observation of Ngọp; a code is `system|code`."""
    pairs = (code.rpartition("|")[::2] for code in codes)
    coding = [{"system": f"http://example.org/{s or 'x'}", "code": code} for s, code in pairs]
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [VITAL],
        "code": ({"coding": coding} if coding else {}) | ({"text": text} if text else {}),
        "subject": {"reference": "Patient/ngop"},
        **({"effectiveDateTime": date} if date else {}),
    }


def store(client: httpx.Client, patient: str, *observations: dict[str, Any]) -> None:
    """A person with these observations alone."""
    sent = [
        resident(id=patient),
        *(one | {"subject": {"reference": f"Patient/{patient}"}} for one in observations),
    ]
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in sent
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle)
    assert answer.status_code == 200, answer.text


def last(client: httpx.Client, patient: str, asked: str = "") -> list[str]:
    answer = client.get(f"/Observation/$lastn?patient={patient}&category=vital-signs{asked}")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", len(bundle.get("entry", ())))
    return [one["resource"]["id"] for one in bundle.get("entry", ())]


def test_the_newest_of_each_code(client: httpx.Client) -> None:
    """ "If no maximum number is given then only the most recent Observation in each group"."""
    store(
        client,
        "each",
        seen("each-1", "2020", "weight"),
        seen("each-2", "2024", "weight"),
        seen("each-3", "2022", "height"),
        seen("each-4", "2021", "height"),
    )
    assert last(client, "each") == ["each-2", "each-3"]


def test_max_says_how_many_of_each(client: httpx.Client) -> None:
    """ "Sorted from most recent to the oldest"."""
    store(
        client, "many", *(seen(f"many-{year}", str(year), "weight") for year in range(2015, 2025))
    )
    assert last(client, "many", "&max=3") == ["many-2024", "many-2023", "many-2022"]
    assert len(last(client, "many", "&max=99")) == 10


def test_those_that_tie_with_the_last_come_too(client: httpx.Client) -> None:
    """ "4 Observations instead of 3 if the 3rd and 4th most recent observation had the same
    effective time"."""
    dates = ("2024", "2023", "2022", "2022", "2021")
    store(client, "ties", *(seen(f"ties-{at}", d, "weight") for at, d in enumerate(dates)))
    assert sorted(last(client, "ties", "&max=3")) == ["ties-0", "ties-1", "ties-2", "ties-3"]
    assert last(client, "ties", "&max=2") == ["ties-0", "ties-1"]


def test_without_a_time_nothing_ties(client: httpx.Client) -> None:
    store(client, "undated", *(seen(f"undated-{at}", None, "weight") for at in range(3)))
    assert len(last(client, "undated")) == 1


@pytest.mark.parametrize(
    ("patient", "codes", "groups"),
    [
        ("t1", [("a",), ("b",), ("c",)], 3),
        ("t2x", [("a",), ("b",), ("a", "c")], 2),
        ("t3xx", [("a",), ("b",), ("a", "b")], 1),
        ("t4xxx", [("a", "b"), ("c", "d"), ("b", "c")], 1),
        ("t5xxxx", [("one|a",), ("two|a",)], 2),
        ("t6xxxxx", [("a",), ("A",)], 2),
    ],
)
def test_codes_are_grouped(
    client: httpx.Client, patient: str, codes: list[tuple[str, ...]], groups: int
) -> None:
    """The table of the standard's page: "the grouping by code SHALL follow the transitive property
    of equality"; equal are codes of one system."""
    several = (seen(f"{patient}-{at}", f"20{10 + at}", *one) for at, one in enumerate(codes))
    store(client, patient, *several)
    assert len(last(client, patient)) == groups


def test_text_alone_is_grouped_by_the_text(client: httpx.Client) -> None:
    texts = ("textM", "Text", "t e x t", "Text")
    several = (seen(f"texts-{at}", f"20{10 + at}", text=one) for at, one in enumerate(texts))
    store(client, "textsxxxx", *several)
    assert last(client, "textsxxxx") == ["texts-3", "texts-2", "texts-0"]


def test_entered_in_error_unless_the_status_is_asked_for(client: httpx.Client) -> None:
    """ "If not explicitly filtered by status then will include statuses of 'entered-in-error'"."""
    wrong = seen("wrong-2", "2024", "weight") | {"status": "entered-in-error"}
    store(client, "wrongxxxxxx", seen("wrong-1", "2020", "weight"), wrong)
    assert last(client, "wrongxxxxxx") == ["wrong-2"]
    assert last(client, "wrongxxxxxx", "&status:not=entered-in-error") == ["wrong-1"]


def test_other_parameters_narrow_it(client: httpx.Client) -> None:
    several = (seen(f"narrow-{year}", str(year), "weight") for year in (2020, 2021, 2022))
    store(client, "narrowxxxxxxx", *several)
    assert last(client, "narrowxxxxxxx", "&date=lt2022") == ["narrow-2021"]
    assert last(client, "narrowxxxxxxx", "&code=height") == []


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_a_plain_computation_finds(client: httpx.Client, seed: int) -> None:
    """Forty years of a person, computed anew by going through all of it in Python."""
    chance = random.Random(seed)
    patient = "p" * (20 + seed)
    codes = [f"{chance.choice(('one', 'two'))}|c{at}" for at in range(12)]
    life = [
        seen(
            f"{patient}-{at}",
            f"{chance.randint(1986, 2025)}-{chance.randint(1, 12):02}-0{chance.randint(1, 3)}",
            *chance.sample(codes, 1 if chance.random() < 0.97 else 2),
        )
        for at in range(400)
    ]
    store(client, patient, *life)
    for most in (1, 2, 7):
        assert set(last(client, patient, f"&max={most}")) == plain(life, most)


def plain(life: list[dict[str, Any]], most: int) -> set[str]:
    """The ids of what is the answer."""
    groups: list[tuple[set[tuple[str, str]], list[dict[str, Any]]]] = []
    for one in life:
        names = {(coding["system"], coding["code"]) for coding in one["code"]["coding"]}
        same = [group for group in groups if group[0] & names]
        groups = [group for group in groups if not group[0] & names]
        groups.append(
            (
                names.union(*(group[0] for group in same)),
                [one, *(other for group in same for other in group[1])],
            )
        )
    found = set()
    for _, members in groups:
        dates = sorted((one["effectiveDateTime"] for one in members), reverse=True)
        oldest = dates[min(most, len(dates)) - 1]
        found |= {one["id"] for one in members if one["effectiveDateTime"] >= oldest}
    return found


def test_it_can_be_asked_by_post(client: httpx.Client) -> None:
    store(client, "postedxxxxxxxxx", seen("posted-1", "2020", "weight"))
    sent = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "subject", "valueString": "Patient/postedxxxxxxxxx"},
            {"name": "code", "valueString": "weight"},
            {"name": "max", "valuePositiveInt": 3},
        ],
    }
    answer = client.post("/Observation/$lastn", json=sent)
    assert [one["resource"]["id"] for one in answer.json()["entry"]] == ["posted-1"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("category=vital-signs", "patient"),
        ("patient=a,b&category=vital-signs", "patient"),
        ("subject=Group/1&category=vital-signs", "patient"),
        ("patient=each", "category"),
        ("patient=each&code=weight&max=0", "max"),
        ("patient=each&code=weight&max=few", "max"),
        ("patient=each&code=weight&max=1&max=2", "max"),
        ("patient=each&code=weight&_sort=date", "_sort"),
        ("patient=each&code=weight&_count=5", "_count"),
        ("patient=each&code=weight&_include=Observation:subject", "_include"),
        ("patient=each&code=weight&colour=red", "colour"),
        ("patient=each&code=weight&date=soon", "date"),
    ],
)
def test_what_is_refused_is_named(client: httpx.Client, asked: str, named: str) -> None:
    answer = client.get(f"/Observation/$lastn?{asked}")
    assert answer.status_code == 400
    assert named in answer.json()["issue"][0]["details"]["text"]
