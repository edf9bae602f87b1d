"""The work behind `Prefer: respond-async`: the kept request is answered as if it came now.

https://hl7.org/fhir/R4/async.html. A worker that is killed may have stored what the request asks
for and not the answer; the next one sends it again under the same key, so that it is stored once
and answered the same (`changes/push`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ehr_server.access.caller import Caller, asker_of
from ehr_server.call import Answer, Request, Stream
from ehr_server.errors import Unavailable
from ehr_server.jobs.work import Interrupted
from ehr_server.store import deferred
from ehr_server.store.deferred import Kept
from ehr_server.store.queue import Part

if TYPE_CHECKING:
    from ehr_server.jobs.work import Work

Answers = Callable[[Request, Caller, str], Answer]  # what answers a request from the socket

TRIES = 3  # when the database is away, or the search takes too long; then that is the answer


def run(work: Work, answers: Answers) -> None:
    """Answer the request, unless that is done. Raises `Interrupted`, and `Unavailable` when it is
    to be tried again."""
    if work.finished_parts():
        return
    contents = work.store.contents
    with work.store.connection() as connection:
        kept = deferred.request(connection, contents, work.job.id)
    if kept is None:
        raise Interrupted
    asked = work.job.request
    answer = answers(_request(kept, work), asker_of(asked), asked["base_url"])
    if answer.status == Unavailable.status and work.job.attempts < TRIES:
        raise Unavailable(
            "The request could not be answered; it is tried again.",
            vi="Chưa thể trả lời yêu cầu; sẽ thử lại.",
        )
    part = Part(0, {}, {"status": answer.status})
    with work.store.connection() as connection:
        if not deferred.put_answer(connection, contents, work.job, part, _kept(answer)):
            raise Interrupted


def _request(kept: Kept, work: Work) -> Request:
    head = kept.head
    return Request(
        head["method"],
        tuple(head["path"]),
        tuple((name, value) for name, value in head["query"]),
        head["headers"],
        kept.body,
        depth_max=work.settings.nesting_max,
        private=tuple((name, value) for name, value in head.get("private", ())),
    )


def _kept(answer: Answer) -> Kept:
    made = answer.body
    body = b"".join(made.pieces) if isinstance(made, Stream) else made or b""
    head = {"status": answer.status, "headers": dict(answer.headers)}
    return Kept(head, body)
