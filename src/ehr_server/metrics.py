"""What is counted, for those who watch over a server: every metric is declared here, once.

Labels are words of the program (an interaction, a deed), never of a record, and their number is
bounded. Shown by `web/metrics`. Where several processes serve one port their counts lie together
in a folder (`settings.share_counts`), so that any of them tells those of all.
"""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONG_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

requests = Histogram(
    "ehr_request_seconds",
    "How long requests to the FHIR base took, by interaction or operation and class of status.",
    ("interaction", "status"),
    buckets=_LONG_S,
)
received = Counter("ehr_received_bytes", "Bytes of bodies that came.")
sent = Counter("ehr_sent_bytes", "Bytes of bodies that were sent.")
in_flight = Gauge(
    "ehr_requests_in_flight", "Requests being answered now.", multiprocess_mode="livesum"
)
throttled = Counter(
    "ehr_throttled",
    "Requests turned away (429): by the rate of a client, its requests under way at once, or "
    "failures of its address to say who calls.",
    ("why",),
)
stored_versions = Counter(
    "ehr_stored_versions", "Versions of resources that were stored, by deed.", ("deed",)
)
pool = Gauge(
    "ehr_pool_connections",
    "Connections to PostgreSQL: open, idle, and requests that wait for one.",
    ("state",),
    multiprocess_mode="livesum",
)
_stored = {deed: stored_versions.labels(deed) for deed in ("create", "update", "delete")}
worker_seen = Gauge(
    "ehr_worker_seen_seconds",
    "When a worker of this server last looked for jobs, as Unix time.",
    multiprocess_mode="livemax",
)
memory = Gauge(
    "ehr_memory_bytes", "Resident memory of the server processes.", multiprocess_mode="livesum"
)
processor = Gauge(
    "ehr_processor_seconds", "Processor time of the server processes.", multiprocess_mode="sum"
)


def count_stored(deeds: Iterable[str]) -> None:
    """Count versions that were stored, given the deed of each."""
    for deed, count in Tally(deeds).items():
        _stored[deed].inc(count)
