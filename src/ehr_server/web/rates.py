"""How often a client may ask, counted by all server processes together.

The generic cell rate algorithm: of each client one number is kept, the moment until which it has
used up its rate. A request moves it on; one that would move it further than the burst ahead of now
comes too early. What lies in the past says nothing, so its place is free: nothing is ever removed.
https://www.itu.int/rec/T-REC-I.371, annex A.

The numbers stand in memory that the processes share, in as many places as there were at the
beginning. Nobody locks: of two processes that count at the same instant for the same client one may
go uncounted.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from multiprocessing.sharedctypes import RawArray
from typing import Any

from ehr_server import clock

PLACES = 1 << 16  # 16 bytes each
_ROUNDED_S = 1e-9
_LOOKS = 8  # places in which a client's number may stand


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and `burst` at once."""

    per_s: float
    burst: float


class Rates:
    """What every client has used up. Picklable into a process that is being spawned."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._keys: Any = RawArray("Q", places)
        self._used: Any = RawArray("d", places)  # milliseconds of `clock.ticks_ms`
        self._salt = clock.random_bytes(16)  # else somebody could choose whose place they share

    def take(self, key: str, rate: Rate, patience_s: float = 0.0) -> float:
        """After how many seconds the request is due: 0 for now. It is counted where that is within
        the patience."""
        now, each = clock.ticks_ms(), 1000 / rate.per_s
        mark = int.from_bytes(blake2b(key.encode(), digest_size=8, key=self._salt).digest()) or 1
        place = self._place(mark, now)
        used = self._used[place] if self._keys[place] == mark else 0.0
        until = max(used, now) + each
        late_s = max(0.0, (until - now - rate.burst * each) / 1000)
        if late_s <= patience_s + _ROUNDED_S:
            self._keys[place] = mark
            self._used[place] = until
        return late_s if late_s > _ROUNDED_S else 0.0

    def is_spent(self, key: str, rate: Rate) -> bool:
        """Whether there is nothing left to take now."""
        return self.take(key, rate, patience_s=-1) > 0

    def _place(self, mark: int, now: float) -> int:
        """Where the client's number stands, or may: in the place of one that says nothing any more,
        or else of the one that soonest will."""
        places = [(mark + step) % self._places for step in range(_LOOKS)]
        for place in places:
            if self._keys[place] == mark:
                return place
        for place in places:
            if self._used[place] <= now:
                return place
        return min(places, key=self._used.__getitem__)
