"""Requests that are answered in the background: kept whole in the database until then, and what
they were answered for a while after.

Each side is a head, all but the body, and the body in pieces, packed as versions are: PostgreSQL
takes no value of more than 1 GB, and none of several megabytes gladly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from ehr_server.store import queue

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection
    from ehr_server.store.contents import Contents
    from ehr_server.store.queue import Job, Part

KIND = "deferred"

_REQUEST, _ANSWER = 0, 1
_PIECE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A request or an answer: `head` is all but the body, as JSON."""

    head: dict[str, Any]
    body: bytes


def put(connection: Connection, contents: Contents, job: Job, request: Kept) -> None:
    """A new job with its request; both are there once the transaction commits, or neither."""
    queue.put(connection, job)
    _write(connection, contents, (job.id, _REQUEST), request)


def request(connection: Connection, contents: Contents, id_: str) -> Kept | None:
    """What is to be answered; None if the job was cancelled meanwhile."""
    return _read(connection, contents, (id_, _REQUEST))


def answer(connection: Connection, contents: Contents, id_: str) -> Kept | None:
    """What was answered, None if nothing yet."""
    return _read(connection, contents, (id_, _ANSWER))


def put_answer(
    connection: Connection, contents: Contents, job: Job, part: Part, answer: Kept
) -> bool:
    """Keep the answer, with which the only part of the job is done, and let go of the request;
    False, and nothing is kept, if the job is no longer ours."""
    with connection.transaction():
        is_held = queue.add_part(connection, job, part, job.progress)
        if is_held:
            _write(connection, contents, (job.id, _ANSWER), answer)
            connection.execute(
                "delete from job_content where job = %s and side = %s", (job.id, _REQUEST)
            )
    return is_held


def _write(connection: Connection, contents: Contents, at: tuple[str, int], kept: Kept) -> None:
    ends = range(0, len(kept.body), _PIECE_BYTES)
    pieces = [json.write(kept.head), *(kept.body[end : end + _PIECE_BYTES] for end in ends)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into job_content (job, side, number, enc, content) values (%s, %s, %s, %s, %s)",
            [(*at, number, *contents.pack(piece)) for number, piece in enumerate(pieces)],
        )


def _read(connection: Connection, contents: Contents, at: tuple[str, int]) -> Kept | None:
    rows = connection.execute(
        "select enc, content from job_content where job = %s and side = %s order by number", at
    ).fetchall()
    if not rows:
        return None
    head, *pieces = (contents.unpack(enc, content) for enc, content in rows)
    return Kept(json.read_own(head), b"".join(pieces))
