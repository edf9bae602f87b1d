"""A full disk: nothing more is stored, reading goes on, and all is well when there is room.

On a small file system in memory, which only root can mount; elsewhere these tests are left out.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.patients import resident
from full_disk import fill, small_disk
from servers import serving

_ROOM_MB = 64  # of the setting


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A file system of 400 MB."""
    with small_disk(folder) as place:
        yield place


def _put(client: httpx.Client, number: int) -> httpx.Response:
    return client.put(f"/Patient/p{number}", json=resident(f"001174{number:06}", id=f"p{number}"))


def test_below_the_reserve_nothing_is_stored_and_all_is_served(disk: Path) -> None:
    options = ("--data-dir", str(disk / "data"), "--disk-free-mb-min", str(_ROOM_MB))
    with (
        serving(None, *options) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        assert _put(client, 1).status_code == 201
        ballast = fill(disk, (_ROOM_MB - 8) << 20)
        for _ in range(3):
            refused = _put(client, 2)
            assert refused.status_code == 503
            assert refused.json()["issue"][0]["code"] == "no-store"
            assert "disk" in refused.json()["issue"][0]["details"]["text"]
            assert int(refused.headers["retry-after"]) > 0
            assert client.get("/Patient/p1").status_code == 200
            assert client.get("/Patient?name=ngop").json()["total"] == 1
        assert client.get("/Patient/p2").status_code == 404
        ballast.unlink()
        assert _put(client, 2).status_code == 201


def test_when_not_a_byte_is_left_it_recovers_by_itself(disk: Path) -> None:
    """Without a reserve PostgreSQL itself meets the end of the disk, perhaps in its log, and stops;
    the supervisor tries again until there is room. What was acknowledged is there."""
    options = ("--data-dir", str(disk / "data"), "--disk-free-mb-min", "0")
    with (
        serving(None, *options) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        acknowledged = [number for number in range(5) if _put(client, number).status_code == 201]
        assert len(acknowledged) == 5
        ballast = fill(disk, 0)
        end = time.monotonic() + 20
        number, refusals = 5, 0
        while refusals < 3:
            assert time.monotonic() < end, "the disk did not fill"
            batch = [_entry(number + more) for more in range(200)]
            answer = client.post("/", json={**_TRANSACTION, "entry": batch})
            if answer.status_code == 200:
                acknowledged += range(number, number + 200)
                number += 200
            else:
                assert answer.status_code == 503, answer.text
                refusals += 1
        assert server.process.poll() is None
        ballast.unlink()
        end = time.monotonic() + 40
        while _put(client, 999_999).status_code not in (200, 201):
            assert time.monotonic() < end, "it did not come back by itself"
            time.sleep(0.2)
        total = client.get("/Patient?_summary=count").json()["total"]
        assert total in (len(acknowledged) + 1, len(acknowledged) + 201)  # one may be unknown
        for one in acknowledged[:: max(1, len(acknowledged) // 50)]:
            assert client.get(f"/Patient/p{one}").status_code == 200


def _entry(number: int) -> dict[str, object]:
    return {
        "resource": resident(f"001174{number:06}", id=f"p{number}"),
        "request": {"method": "PUT", "url": f"Patient/p{number}"},
    }


_TRANSACTION = {"resourceType": "Bundle", "type": "transaction"}
