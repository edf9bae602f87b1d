"""The one place that reads the clock and makes ids."""

import os
import time
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: no i, l, o, u
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def now() -> datetime:
    """This instant, UTC, in whole milliseconds: the precision of `meta.lastUpdated`."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def instant(moment: datetime) -> str:
    """`moment` as a FHIR instant, such as `2026-11-22T08:15:30.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(moment: datetime) -> str:
    """`moment` as HTTP writes it, such as `Sun, 22 Nov 2026 08:15:30 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def of_http_date(text: str) -> datetime | None:
    """The moment that HTTP writes so, None for what is no such date."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def epoch_s() -> int:
    """Seconds since 1970, as tokens write instants: https://www.rfc-editor.org/rfc/rfc7519."""
    return int(time.time())


def ticks_s() -> float:
    """Seconds since some moment or other: to tell whether something is old."""
    return time.monotonic()


def ticks_ms() -> float:
    """Milliseconds since some moment or other: to tell how long something takes."""
    return time.perf_counter() * 1000


def epoch_ms() -> int:
    """Whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def wait_a_moment(attempt: int) -> None:
    """Longer the more often it was tried, and not as long as another who waits: up to 2 ms, 4, 8,
    ... 64."""
    share = int.from_bytes(os.urandom(1), "big") / 256
    time.sleep(share * 0.001 * 2 ** min(attempt + 1, 6))


def random_bytes(count: int) -> bytes:
    """Bytes that nobody can guess."""
    return os.urandom(count)


def new_id() -> str:
    """A new logical id of 26 characters: 48 bits of time, then 80 random bits.

    Ids that grow with time keep the id index compact, and 80 random bits cannot be guessed.
    """
    return _base32((time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big"))


def new_urn() -> str:
    """A new `urn:uuid:`, of random bits: https://www.rfc-editor.org/rfc/rfc4122."""
    return uuid.uuid4().urn


def _base32(number: int) -> str:
    """26 digits, two at a time."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
