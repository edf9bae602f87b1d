"""The search for duplicates in the background: Tasks on the review list, one for each two records.

https://hl7.org/fhir/R4/task.html, https://hl7.org/fhir/R4/patient-operation-match.html
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from api.test_match import numbered, person, put
from servers import serving

pytestmark = pytest.mark.smoke

LIST = "/Task?code=same-person&_sort=authored-on&_count=100"
_WAIT_S = 30


@contextmanager
def watching(database: str) -> Iterator[httpx.Client]:
    """A server that looks for duplicates; it begins as it starts."""
    with (
        serving(database, duplicates="watch") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client


def stored(database: str, *patients: tuple[str, dict[str, Any]]) -> None:
    """Patients that a server which does not look has stored."""
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        for id_, patient in patients:
            put(client, id_, patient)
        assert tasks(client) == []


def tasks(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get(LIST)
    assert answer.status_code == 200, answer.text
    return [one["resource"] for one in answer.json().get("entry", ())]


def after_a_look(
    client: httpx.Client, is_there: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        found = tasks(client)
        if is_there(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"after {_WAIT_S} s: {found}")


def pairs(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted(
        (one["focus"]["reference"].split("/")[1], one["for"]["reference"].split("/")[1])
        for one in found
    )


def seen(database: str) -> None:
    """Wait until the look at all that is there has come to its end."""
    end = time.monotonic() + _WAIT_S
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < end:
            row = connection.execute(
                "select (select split_part(value, ' ', 1)::bigint from setting"
                "  where name = 'duplicates_until') > (select max(tx) from version_patient)"
                " and not exists (select from job where state in ('queued', 'running'))"
            ).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.1)
    raise AssertionError("the look did not come to its end")


def test_two_records_of_one_person_are_put_on_the_list_once(database: str) -> None:
    stored(
        database,
        ("first", person("Lò Thị Pâng", "1971-03-12")),
        ("second", person("LO THI PANG", "1971-03-12")),
        ("stranger", person("Kpă H'Yư", "1990-01-02", ward="24000")),
    )
    with watching(database) as client:
        (task,) = after_a_look(client, lambda found: len(found) == 1)
        assert pairs([task]) == [("second", "first")]
        assert task["reasonCode"]["coding"][0]["code"] == "suspected-duplicate"
        assert (task["status"], task["intent"]) == ("requested", "proposal")
        assert 0.95 <= task["input"][0]["valueDecimal"] <= 1
        seen(database)
        changed = person("LÒ THỊ PÂNG", "1971-03-12", maritalStatus={"text": "x"})
        client.put("/Patient/second", json={**changed, "id": "second"})
    with watching(database) as client:
        seen(database)
        assert len(tasks(client)) == 1


def test_a_pair_that_was_rejected_never_comes_back(database: str) -> None:
    stored(
        database, ("one", person("Tẩn Mùi Nái")), ("other", person("Tẩn Mùi Nái", gender="female"))
    )
    with watching(database) as client:
        (task,) = after_a_look(client, lambda found: len(found) == 1)
        seen(database)
        client.put(f"/Task/{task['id']}", json={**task, "status": "rejected"})
        for id_ in ("one", "other"):
            moved = person("Tẩn Mùi Nái", telecom=[{"system": "phone", "value": "0912000111"}])
            assert client.put(f"/Patient/{id_}", json={**moved, "id": id_}).status_code == 200
    with watching(database) as client:
        seen(database)
        assert [one["status"] for one in tasks(client)] == ["rejected"]


def test_who_is_not_active_or_is_someone_else_is_not_on_the_list(database: str) -> None:
    stored(
        database,
        ("active", person("Vàng Thị Dở")),
        ("passive", person("Vàng Thị Dở", active=False)),
        ("replaced", person("Vàng Thị Dở", link=[_replaced_by("active")])),
        ("twin", person("Vàng Thị Súa")),
        ("numbered", person("Nguyễn Văn Nam", gender="male", **numbered("001074000111"))),
        (
            "other-number",
            person("Nguyễn Văn Nam", gender="male", ward="00301", **numbered("001074000999")),
        ),
    )
    with watching(database) as client:
        seen(database)
        assert tasks(client) == []


def test_no_identifier_stands_in_a_task(database: str) -> None:
    card = [{"system": "http://fhir.hl7.org.vn/core/sid/bhyt", "value": "GD4010123456789"}]
    stored(
        database,
        ("a", person("Ksor Phước", gender="male", identifier=card)),
        ("b", person("Ksor Phước", gender="male", identifier=card)),
    )
    with watching(database) as client:
        after_a_look(client, lambda found: len(found) == 1)
        assert "0123456789" not in client.get(LIST).text


def test_many_are_looked_at_in_several_jobs(database: str) -> None:
    """A job ends after so many and leaves the rest to the next; here all of them are small."""
    people = [(f"p{n}", person(f"Nguyễn Văn {_word(n)}", f"19{n:02}-02-03")) for n in range(10, 70)]
    stored(database, *people, ("again", people[30][1]))
    with watching(database) as client:
        seen(database)
        assert pairs(tasks(client)) == [("again", people[30][0])]


def test_one_that_cannot_be_read_stops_no_other(database: str) -> None:
    """It is passed over at the second attempt, and nobody comes back to it."""
    twin = person("Lò Thị Pâng", "1971-03-12")
    stored(database, ("broken", person("Tẩn Mùi Nái")), ("first", twin), ("second", twin))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "update version_patient set enc = 0, content = 'no JSON' where key ="
            " (select key from rid where id = 'broken')"
        )
    with watching(database) as client:
        found = after_a_look(client, lambda found: len(found) == 1)
        assert pairs(found) == [("second", "first")]
        seen(database)
    with psycopg.connect(database) as connection:
        states = connection.execute("select state from job where kind = 'duplicates'").fetchall()
        assert set(states) == {("done",)}


def _word(number: int) -> str:
    return "".join("bcdghklmnp"[int(digit)] + "a" for digit in str(number))


def _replaced_by(id_: str) -> dict[str, Any]:
    return {"other": {"reference": f"Patient/{id_}"}, "type": "replaced-by"}
