"""$jobs: the work in the background, the caller's and the server's: how far it is, when it ends.

An operation of ours: the standard has an address for each job and none for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.call import Route
from ehr_server.errors import Invalid
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import answered, asked
from ehr_server.store import export, import_, queue
from ehr_server.store.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ehr_server.call import Answer, Call
    from ehr_server.fhir.parameters import Given
    from ehr_server.store.queue import Job

_NAME = "http://ehr-server.org/fhir/OperationDefinition/jobs"
_KNOWN = {"kind": Known("code"), "state": Known("code"), "_count": Known("integer")}

_STATUS = {export.KIND: "$export-status", import_.KIND: "$import-status"}

Told = tuple[str, str, object]


def jobs(call: Call) -> Answer:
    """200 with Parameters: a `job` for each, the newest first, with its
    `id`, `kind`, `state`, when it was `made`, and as far as is known `status` (its address),
    `percent`, `resources`, `rate` (resources a second) and `left` (seconds).

    `kind` and `state` choose among them. Raises `Invalid` for a parameter that is not understood.
    """
    sent = asked(call, _KNOWN)
    _check(sent)
    count = min(sent.one("_count", call.settings.count_default), call.settings.count_max)
    with call.store.connection() as connection:
        sought = queue.Sought(sent.one("kind"), sent.one("state"), call.caller.owner)
        found = queue.listed(connection, sought, count)
    now = clock.now()
    return answered(("job", "part", list(_told(call, job, now))) for job in found)


def _check(sent: Given) -> None:
    state = sent.one("state", queue.DONE)
    if state not in queue.STATES:
        listed = ", ".join(queue.STATES)
        raise Invalid(
            f"state is one of {listed}.",
            vi=f"state là một trong {listed}.",
            expression=("state",),
        )


def _told(call: Call, job: Job, now: datetime) -> Iterator[Told]:
    yield "id", "valueString", job.id
    yield "kind", "valueCode", job.kind
    yield "state", "valueCode", job.state
    yield "made", "valueInstant", clock.instant(job.made)
    if job.kind in _STATUS and job.state != queue.CANCELLED:
        yield "status", "valueUri", f"{call.base_url}/{_STATUS[job.kind]}/{job.id}"
    progress = progress_of(job.progress)
    if progress is None:
        return
    is_over = job.state == queue.DONE
    yield "percent", "valueInteger", 100 if is_over else progress.percent()
    yield "resources", "valueInteger", progress.resources
    left = progress.left_s(now)
    if job.state == queue.RUNNING and left is not None:
        yield "rate", "valueInteger", progress.rate(now)
        yield "left", "valueInteger", left


ROUTES = (Route(_NAME, "GET", "$jobs", jobs),)
