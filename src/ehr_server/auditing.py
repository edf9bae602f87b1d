"""The commands of the access log: `ehr-server audit verify` and `ehr-server audit head`."""

import argparse

from ehr_server import clock
from ehr_server.commands import opened, since_of
from ehr_server.settings import Settings
from ehr_server.store import seals


def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Print which rows and seals were altered, removed or added; 1 where there are any."""
    since = since_of(settings, options)
    with opened(settings) as store:
        found = seals.verify(store, since, options.head or "")
    for fault in found.faults:
        print(fault.told)
    print(f"{found.seals} seals, {found.rows} rows looked at, {len(found.faults)} faults", end="")
    if found.oldest_unsealed is not None:
        since_then = clock.instant(found.oldest_unsealed)
        print(f"; {found.unsealed} rows since {since_then} are not sealed yet", end="")
    print()
    return 1 if found.faults else 0


def head(settings: Settings, _options: argparse.Namespace) -> int:
    """Print the head of the newest seal, to be kept where nobody can change it; 1 if none is."""
    with opened(settings) as store:
        seals.seal(store)
        newest = seals.head(store)
    if newest is None:
        print("nothing is sealed yet")
        return 1
    print(f"{newest.mac.hex()} seal {newest.number} of {clock.instant(newest.at)}")
    return 0
