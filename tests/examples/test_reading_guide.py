"""The guide to reading a record: every request in it finds what its row says."""

import re
from pathlib import Path

import httpx
import pytest

from examples.guides import asked
from servers import Server

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "reading-a-record.md").read_text(encoding="utf-8")
CHECKUP = ROOT / "examples" / "01-checkup" / "checkup.json"
ROWS = [
    (address.replace("\\|", "|"), int(finds))
    for address, finds in re.findall(r"^\| `([A-Z].+?)` \| (\d+) \|", GUIDE, re.M)
]


@pytest.fixture(scope="module")
def ids(server: Server) -> dict[str, str]:
    """What the names of the guide stand for, once the checkup is stored."""
    headers = {"content-type": "application/fhir+json"}
    answer = httpx.post(server.fhir, content=CHECKUP.read_bytes(), headers=headers, timeout=60)
    answer.raise_for_status()
    stored = dict(
        one["response"]["location"].removeprefix(f"{server.fhir}/").split("/")[:2]
        for one in answer.json()["entry"]
    )
    return {
        "ID": stored["Patient"],
        "VISIT": stored["Encounter"],
        "COMPOSITION": stored["Composition"],
    }


def test_every_row_is_read() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `[A-Z]", GUIDE, re.M)) > 10


@pytest.mark.parametrize(("address", "finds"), ROWS)
def test_a_row(client: httpx.Client, ids: dict[str, str], address: str, finds: int) -> None:
    for name, id_ in ids.items():
        address = re.sub(rf"\b{name}\b", id_, address)
    answer = asked(client, address)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle.get("total", len(bundle.get("entry", ()))) == finds
