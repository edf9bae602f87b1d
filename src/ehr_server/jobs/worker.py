"""The worker: claims jobs and does them, one at a time. Any number of workers may run.

Requests that are answered in the background have one of their own (`deferred`), so that they do
not wait for an export of hours, nor it for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.errors import Unavailable
from ehr_server.jobs import duplicates, export, import_, reindex
from ehr_server.jobs.work import Failed, Interrupted, Work
from ehr_server.metrics import worker_seen
from ehr_server.store import blobs, deferred, marks, queue, receipts, search_parameters
from ehr_server.store import import_ as imports
from ehr_server.store.export import KIND
from ehr_server.store.files import forget_uploads, remove_folder

if TYPE_CHECKING:
    import threading

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Connection, Store
    from ehr_server.store.queue import Job

log = logging.getLogger(__name__)

# Without a part coming to its end; then the job has failed. A worker that is stopped or killed says
# little against the job, unless it happens again and again: the job may be what kills it.
ATTEMPTS_MAX = 5  # that met an error
ERRORS_MAX = 20  # of a job in all, whatever came to its end between them
CLAIMS_MAX = 50

Kinds = Mapping[str, Callable[[Work], None]]

_IDLE_S = 0.1  # a look costs 0.1 ms
_MARK_EVERY = 600  # idle rounds: once a minute a mark, and old exports are removed
_RETRY_S = 10
_RECEIPTS = 1_000  # of a sender that are removed by one statement
_ABANDONED = timedelta(days=1)  # content of which nothing has come for so long

KINDS: Kinds = MappingProxyType(
    {
        KIND: export.run,
        imports.KIND: import_.run,
        search_parameters.KIND: reindex.run,
        duplicates.KIND: duplicates.run,
    }
)


def run(store: Store, settings: Settings, stop: threading.Event, kinds: Kinds = KINDS) -> None:
    """Do jobs until told to stop; a job in hand is given back, to be gone on with later."""
    idle = 0
    while not stop.is_set():
        worker_seen.set_to_current_time()
        try:
            job = _claimed(store, settings, kinds)
            if job is not None:
                _do(Work(store, settings, job, stop), kinds[job.kind])
                continue
            if idle % _MARK_EVERY == 0:
                with store.connection() as connection:
                    marks.leave_if_written(store, connection, clock.now())
                    _forget_old(connection, settings)
                    _forget_receipts(connection, settings)
                    blobs.forget_abandoned(connection, clock.now() - _ABANDONED)
                if duplicates.KIND in kinds:
                    duplicates.keep_up(store, settings)
        except Unavailable as error:
            log.warning("the worker waits for the database: %s", error)
            stop.wait(_RETRY_S)
        except Exception:  # whatever it was, jobs that come later must be done
            log.exception("the worker met an error")
            stop.wait(_RETRY_S)
        idle += 1
        stop.wait(_IDLE_S)


def _forget_old(connection: Connection, settings: Settings) -> None:
    """Files of whole records are not left lying: the files go first, then what names them."""
    kept_since = clock.now() - timedelta(hours=settings.export_keep_h)
    for id_ in queue.ended_before(connection, KIND, kept_since):
        remove_folder(settings.export_path / id_)
        queue.forget(connection, id_)
    for id_ in queue.ended_before(connection, imports.KIND, kept_since):
        remove_folder(settings.import_path / id_)
        queue.forget(connection, id_)
    forget_uploads(settings.import_path, kept_since)
    for kind in (search_parameters.KIND, deferred.KIND, duplicates.KIND, imports.HERE):
        for id_ in queue.ended_before(connection, kind, kept_since):
            queue.forget(connection, id_)


def _forget_receipts(connection: Connection, settings: Settings) -> None:
    """So many at a time that none of it takes long."""
    kept_since = clock.now() - timedelta(days=settings.receipt_keep_days)
    while receipts.forget(connection, kept_since, _RECEIPTS) >= _RECEIPTS:
        pass


def _claimed(store: Store, settings: Settings, kinds: Kinds) -> Job | None:
    with store.connection() as connection:
        return queue.claim(connection, list(kinds), settings.lease_s)


def _do(work: Work, deed: Callable[[Work], None]) -> None:
    job = work.job
    state = queue.DONE
    try:
        if _is_hopeless(job):
            state = queue.FAILED
        else:
            with work:
                deed(work)
    except Failed as failed:
        state = queue.FAILED
        work.job = replace(
            work.job, progress={**work.job.progress, "why": failed.why, "why_vi": failed.vi}
        )
    except Interrupted:
        _let_go(work, 0)
        return
    except Exception:
        log.exception("job %s met an error at attempt %d", job.id, job.attempts)
        counted = {name: work.job.progress.get(name, 0) + 1 for name in ("errors", "errors_in_all")}
        work.note(counted)
        _let_go(work, _RETRY_S)
        return
    with work.store.connection() as connection:
        queue.finish(connection, job, state, work.job.progress)
    log.info("job %s is %s", job.id, state)


def _is_hopeless(job: Job) -> bool:
    progress = job.progress
    claims: int = job.attempts - progress.get("attempts", 0)
    errors: int = progress.get("errors", 0)
    in_all: int = progress.get("errors_in_all", 0)
    return claims > CLAIMS_MAX or errors >= ATTEMPTS_MAX or in_all >= ERRORS_MAX


def _let_go(work: Work, wait_s: int) -> None:
    """Give the job back, to be gone on with after `wait_s`, or clean up if it was cancelled."""
    with work.store.connection() as connection:
        if queue.give_back(connection, work.job, wait_s):
            return
        now = queue.find(connection, work.job.id)
    if now is None or now.state == queue.CANCELLED:
        remove_folder(work.settings.export_path / work.job.id)
        remove_folder(work.settings.import_path / work.job.id)
