"""Contents for the tests of Binary, and what is counted around them."""

import random

import httpx
import psycopg

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JSON_TYPE = {"Accept": "application/fhir+json"}


def random_content(size: int, seed: int = 1) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


LARGE = random_content(1_500_000)  # four parts, the last not full


def stored(client: httpx.Client, content: bytes, kind: str = "image/png", **more: str) -> str:
    """The id of a new Binary that was sent raw."""
    answer = client.post("/Binary", content=content, headers={"Content-Type": kind, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def row_counts(database_url: str) -> dict[str, int]:
    """How many rows each table of the record has: the access log grows with each look."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        names = connection.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace ="
            " 'public'::regnamespace and relname not in ('mark', 'setting') and relname not like"
            " 'access_%'"
        ).fetchall()
        return {
            name: connection.execute(f'select count(*) from "{name}"').fetchone()[0]  # type: ignore[index]
            for (name,) in names
        }
