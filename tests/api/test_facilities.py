"""Facilities that close, merge and move stay found by their old code for ever.

https://hl7.org/fhir/R4/organizationaffiliation.html. A made-up city closed 22 public facilities and
moved 103 stations to another parent on one day. The former Organization stays, `active` false; an
OrganizationAffiliation says what became of it since when (`profiles/vn`: facility-change), so that
one search leads from an old code to the successor, and reports can be made of any day.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from servers import Server

CODE = "http://fhir.hl7.org.vn/core/sid/ma-cskcb"
MOH = "http://fhir.ehealth.gov.vn/core/sid/provider-code"
GLN = "http://fhir.hl7.org.vn/core/sid/gln"
CHANGE = "http://ehr-server.org/fhir/vn/CodeSystem/facility-change"
PROFILE = "http://ehr-server.org/fhir/vn/StructureDefinition/facility-change"
REFORM, BEFORE, AFTER = "2025-07-01", "2025-06-30", "2026-01-15"

DISTRICTS, CENTRES = 9, 4  # the parents of before and of after
CLOSED, MOVED = 22, 103
MERGED = CLOSED - 2  # two closed with nobody after them


def facility(id_: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "id": id_,
        "identifier": [{"system": CODE, "value": code}],
        "active": True,
        "name": f"Cơ sở {id_}",
        **more,
    }


def affiliation(
    id_: str, of: str, code: str, since: str, *, to: str | None = None, until: str | None = None
) -> dict[str, Any]:
    """The facility `of` is, or was, part of `to`, or became it."""
    return {
        "resourceType": "OrganizationAffiliation",
        "id": id_,
        "active": True,
        "period": {"start": since} | ({"end": until} if until else {}),
        **({"organization": {"reference": f"Organization/{to}"}} if to else {}),
        "participatingOrganization": {"reference": f"Organization/{of}"},
        "code": [{"coding": [{"system": CHANGE, "code": code}]}],
    }


def city() -> Iterator[dict[str, Any]]:
    """Its facilities, in which the former ones are no longer active, and what became of each."""
    for at in range(DISTRICTS):
        yield facility(f"district{at}", f"921{at:02}", active=False)
        yield affiliation(f"dissolved{at}", f"district{at}", "closed", REFORM)
    for at in range(CENTRES):
        yield facility(f"centre{at}", f"922{at:02}")
    for at in range(MOVED):
        old, new = f"district{at % DISTRICTS}", f"centre{at % CENTRES}"
        yield facility(f"station{at}", f"93{at:03}", partOf={"reference": f"Organization/{new}"})
        yield affiliation(f"was{at}", f"station{at}", "part-of", "2010", to=old, until=BEFORE)
        yield affiliation(f"moved{at}", f"station{at}", "transferred-to", REFORM, to=new)
    for at in range(CLOSED):
        old = facility(f"closed{at}", f"94{at:03}", active=False)
        old["identifier"][0]["period"] = {"end": BEFORE}
        yield old
        if at < MERGED:
            yield affiliation(f"change{at}", old["id"], "merged-into", REFORM, to=f"centre{at % 4}")
        else:
            yield affiliation(f"change{at}", old["id"], "closed", REFORM)


@pytest.fixture(scope="module", autouse=True)
def stored(server: Server) -> None:
    """The city, some visits before the reform and after it, and a merger of a merger."""
    visits = [visit(f"v{at}-{day}", f"station{at}", day) for at in range(6) for day in DAYS]
    later = [
        facility("hospital", "92300"),
        facility("polyclinic", "92301", active=False),
        facility("clinic", "92302", active=False),
        affiliation("into-polyclinic", "clinic", "merged-into", "2024-01-01", to="polyclinic"),
        affiliation("into-hospital", "polyclinic", "merged-into", "2026-03-01", to="hospital"),
    ]
    later[0]["identifier"].append({"system": GLN, "value": "8934285071993"})
    resources = [*city(), *later, *visits]
    with httpx.Client(base_url=server.fhir, timeout=60) as client:
        put(client, resources)


DAYS = ("2025-06-15", "2025-07-15")


def visit(id_: str, at: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "serviceProvider": {"reference": f"Organization/{at}"},
        "period": {"start": day, "end": day},
    }


def put(client: httpx.Client, resources: list[dict[str, Any]]) -> None:
    entries = [
        {"request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}, "resource": one}
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text


def entries(
    client: httpx.Client, type_name: str, **asked: str | Sequence[str]
) -> list[Mapping[str, Any]]:
    """What a search finds on all its pages, what comes along too."""
    page = client.post(f"/{type_name}/_search", data={"_count": "200", **asked}).json()
    found = list(page.get("entry", ()))
    while following := [one["url"] for one in page["link"] if one["relation"] == "next"]:
        page = client.get(following[0]).json()
        found += page.get("entry", ())
    return [entry["resource"] for entry in found]


def ids(resources: list[Mapping[str, Any]], type_name: str) -> set[str]:
    return {one["id"] for one in resources if one["resourceType"] == type_name}


def successors(client: httpx.Client, code: str) -> dict[str, str]:
    """What became of the facility of a code: one search, and each successor by its change."""
    found = entries(
        client,
        "OrganizationAffiliation",
        **{
            "participating-organization.identifier": f"{CODE}|{code}",
            "_include": "OrganizationAffiliation:primary-organization",
        },
    )
    came = ids(found, "Organization")
    changes = [one for one in found if one["resourceType"] == "OrganizationAffiliation"]
    after = {one["code"][0]["coding"][0]["code"]: _successor(one) for one in changes}
    assert {one for one in after.values() if one} == came
    return after


def _successor(change: Mapping[str, Any]) -> str:
    """Its id, or "" where nobody came after."""
    return str(change.get("organization", {}).get("reference", "")).removeprefix("Organization/")


def on(day: str) -> tuple[str, str]:
    """A period shares in a day that begins before the next and ends after the one before: the
    first day counts, and so does the last. https://hl7.org/fhir/R4/search.html#prefix"""
    one = date.fromisoformat(day)
    return f"lt{one + timedelta(days=1)}", f"gt{one - timedelta(days=1)}"


def stood_under(client: httpx.Client, parent: str, day: str) -> set[str]:
    """The facilities that were part of a parent on a day."""
    found = entries(
        client,
        "OrganizationAffiliation",
        **{
            "primary-organization": f"Organization/{parent}",
            "role": f"{CHANGE}|part-of,{CHANGE}|transferred-to",
            "date": on(day),
            "_include": "OrganizationAffiliation:participating-organization",
        },
    )
    return ids(found, "Organization")


@pytest.mark.parametrize("at", range(CLOSED))
def test_a_closed_facility_is_found_by_its_old_code(client: httpx.Client, at: int) -> None:
    for asked in (f"{CODE}|94{at:03}", f"{MOH}|94{at:03}", f"94{at:03}"):
        (one,) = entries(client, "Organization", identifier=asked)
        assert (one["id"], one["active"]) == (f"closed{at}", False)


@pytest.mark.parametrize("at", range(CLOSED))
def test_one_search_leads_from_an_old_code_to_what_came_after(
    client: httpx.Client, at: int
) -> None:
    expected = {"merged-into": f"centre{at % 4}"} if at < MERGED else {"closed": ""}
    assert successors(client, f"94{at:03}") == expected


def test_a_merger_of_a_merger_is_followed_in_one_search(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/search.html#revinclude: `:iterate` goes on from what came along."""
    asked = {
        "identifier": f"{CODE}|92302",
        "_revinclude:iterate": "OrganizationAffiliation:participating-organization",
        "_include:iterate": "OrganizationAffiliation:primary-organization",
    }
    found = entries(client, "Organization", **asked)
    assert ids(found, "Organization") == {"clinic", "polyclinic", "hospital"}
    assert ids(found, "OrganizationAffiliation") == {"into-polyclinic", "into-hospital"}


def test_a_facility_that_moved_keeps_its_code_and_tells_both_parents(client: httpx.Client) -> None:
    for at in range(MOVED):
        told = successors(client, f"93{at:03}")
        assert told == {"part-of": f"district{at % 9}", "transferred-to": f"centre{at % 4}"}


def test_the_former_parents_are_known_and_no_longer_active(client: httpx.Client) -> None:
    for at in range(DISTRICTS):
        (one,) = entries(client, "Organization", identifier=f"{CODE}|921{at:02}")
        assert one["active"] is False
        assert successors(client, f"921{at:02}") == {"closed": ""}


def test_all_changes_of_a_day_are_one_search(client: httpx.Client) -> None:
    found = entries(client, "OrganizationAffiliation", date=f"sa{BEFORE}", _count="500")
    changes = [one["code"][0]["coding"][0]["code"] for one in found]
    assert changes.count("transferred-to") == MOVED
    assert changes.count("merged-into") == MERGED + 1  # and one of later
    assert changes.count("closed") == CLOSED - MERGED + DISTRICTS


@pytest.mark.parametrize(
    ("day", "parent", "of"),
    [
        ("2011-03-04", "district", DISTRICTS),
        (BEFORE, "district", DISTRICTS),
        (REFORM, "centre", CENTRES),
        (AFTER, "centre", CENTRES),
    ],
)
def test_what_stood_under_each_parent_on_a_day(
    client: httpx.Client, day: str, parent: str, of: int
) -> None:
    """Each station under one parent, on the last day of before and on the first of after."""
    by_parent = [stood_under(client, f"{parent}{at}", day) for at in range(of)]
    for at, stations in enumerate(by_parent):
        assert stations == {f"station{one}" for one in range(at, MOVED, of)}
    assert len(set().union(*by_parent)) == sum(map(len, by_parent)) == MOVED


def test_nothing_stands_under_a_parent_when_it_is_over(client: httpx.Client) -> None:
    assert stood_under(client, "district0", AFTER) == set()
    assert stood_under(client, "centre0", BEFORE) == set()


@pytest.mark.parametrize(
    ("parent", "day", "since", "until", "expected"),
    [
        # by the parents of then, and of the visits of then by the parents of now
        ("district0", BEFORE, "2025-06-01", BEFORE, {"v0-2025-06-15"}),
        ("centre0", AFTER, REFORM, AFTER, {"v0-2025-07-15", "v4-2025-07-15"}),
        ("centre0", AFTER, "2025-06-01", BEFORE, {"v0-2025-06-15", "v4-2025-06-15"}),
    ],
)
def test_reports_by_the_old_parent_and_by_the_new(
    client: httpx.Client, parent: str, day: str, since: str, until: str, expected: set[str]
) -> None:
    stations = ",".join(f"Organization/{id_}" for id_ in stood_under(client, parent, day))
    during = (f"ge{since}", f"le{until}")
    found = entries(client, "Encounter", date=during, **{"service-provider": stations})
    assert ids(found, "Encounter") == expected


def test_the_number_of_the_premises_and_the_code_are_one_facility(client: httpx.Client) -> None:
    for asked in (f"{GLN}|8934285071993", f"{CODE}|92300", "8934285071993"):
        assert ids(entries(client, "Organization", identifier=asked), "Organization") == {
            "hospital"
        }


def test_a_code_under_the_system_of_the_other_is_refused(client: httpx.Client) -> None:
    wrong = facility("wrong", "8934285071993")
    answer = client.put("/Organization/wrong", json=wrong)
    assert answer.status_code == 400
    assert GLN in answer.text


def test_a_push_for_an_old_code_finds_the_old_facility(client: httpx.Client) -> None:
    """Records of before name it; nobody makes it anew."""
    again = facility("", "94003")
    del again["id"]
    headers = {"If-None-Exist": f"identifier={CODE}|94003"}
    answer = client.post("/Organization", json=again, headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (200, "closed3")


def test_the_city_keeps_to_the_profile(client: httpx.Client) -> None:
    """Each change is held to the profile though it claims none, and is sound."""
    for one in city():
        if one["resourceType"] == "OrganizationAffiliation":
            answer = client.post(f"/OrganizationAffiliation/$validate?profile={PROFILE}", json=one)
            assert {issue["severity"] for issue in answer.json()["issue"]} == {"information"}
