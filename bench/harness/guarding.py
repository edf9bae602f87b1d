"""What access costs: the same work by a server that is open and keeps no log, by one that keeps the
access log, and by one that asks for tokens, holds every request against a policy and against what
people allow, and keeps the log.

The servers run side by side and are asked in turns, so that whatever else the machine does is
shared by all.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg
from joserfc import jwk, jws

from ehr_server import clock
from ehr_server.admission.own import new_key, public
from ehr_server.admission.token_endpoint import ASSERTION_TYPE
from ehr_server.fhir import json
from ehr_server.store.clients import Client, add
from ehr_server.store.embedded import running
from harness import client, inputs
from harness.client import Load
from harness.figures import HEADINGS, Figures, table
from harness.measured import measured
from harness.server import folder_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.inputs import Source, Stored
    from harness.server import Server

_ROUNDS = 2
_POLICY = """
about: A facility that may write what a campaign holds, the directory too.
consent: heeded
may:
  - {of: [records, directory, definitions], do: rs}
  - {of: [records, directory], do: cud, own: true}
"""
_CONNECTIONS = 8

_QUESTIONS: tuple[tuple[str, Callable[[Stored, str], list[bytes]]], ...] = (
    ("read by id", inputs.reads),
    ("Patient?identifier=", inputs.identifier_searches),
    ("Observation?patient=&code=&_sort=-date&_count=10", inputs.newest_searches),
    ("create one Observation", inputs.creates),
)


@dataclass(frozen=True, slots=True)
class _Side:
    """A server, what is known of what it stores, and the token that it asks for."""

    name: str
    server: Server
    stored: Stored
    token: str = ""

    def load(self, requests: list[bytes], connections: int, seconds: float | None = None) -> Load:
        """What to send, with the token."""
        if self.token:
            header = f"\r\nAuthorization: Bearer {self.token}\r\n".encode()
            requests = [one.replace(b"\r\n", header, 1) for one in requests]
        return Load(self.server.address, requests, connections, seconds)


def section(is_quick: bool) -> str:
    """The figures as a section of the report: each row on all sides, and what each takes more than
    the first."""
    source, seconds = inputs.campaign(60 if is_quick else 200), 1.0 if is_quick else 2.0
    with (
        _policies() as policies,
        serving("--audit=off") as off,
        serving("--audit=on") as logged,
        serving(
            *("--auth=required", "--audit=on", f"--policies-dir={policies}"),
            *("--auth-token-s=3600", "--rate-per-client=0", "--concurrent-per-client=0"),
        ) as guarded,
    ):
        sides = [
            _Side("open", off, inputs.Stored()),
            _Side("logged", logged, inputs.Stored()),
            _Side("guarded and logged", guarded, inputs.Stored(), _token(guarded)),
        ]
        rows = _ingested(sides, source)
        for what, requests in _QUESTIONS:
            rows += _asked(sides, what, requests, seconds)
    shown = [[*row.row(), _more(rows, at, len(sides))] for at, row in enumerate(rows)]
    return f"### Access\n\n{table([*HEADINGS, 'processor time'], shown)}"


@contextmanager
def _policies() -> Iterator[Path]:
    """A folder with the policy of the campaign, which a server reads at its start."""
    with folder_of(None) as folder:
        (folder / "campaign.yaml").write_text(_POLICY)
        yield folder


def _token(server: Server) -> str:
    """A token of a program that is registered now."""
    key = new_key()
    row = Client(
        *("campaign", "of the benchmark", ("system/*.cruds",), "campaign", "bench", ("TREAT",)),
        *(({**public(key), "until": None},), None, clock.now()),
    )
    url = running(server.data_dir)
    if url is None:
        raise RuntimeError("the server's PostgreSQL does not run")
    with psycopg.connect(url, autocommit=True) as connection:
        add(connection, row)
    claims = {
        "iss": "campaign",
        "sub": "campaign",
        "aud": f"http://{server.name}/auth/token",
        "exp": clock.epoch_s() + 60,
        "jti": clock.new_id(),
    }
    private = jwk.import_key({name: key[name] for name in ("kty", "crv", "x", "y", "d")})
    header = {"alg": "ES256", "typ": "JWT", "kid": public(key)["kid"]}
    assertion = jws.serialize_compact(header, json.write(claims), private, ["ES256"])
    sent = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "system/*.cruds",
    }
    told = urlopen(f"http://{server.name}/auth/token", urlencode(sent).encode()).read()
    return str(json.read_own(told)["access_token"])


def _ingested(sides: list[_Side], source: Source) -> list[Figures]:
    sizes, rows = source.sizes(), []
    for side in sides:
        _load(side, source, range(len(sizes) // 4))
    for side in sides:
        chosen = range(len(sizes) // 4, len(sizes))
        each = (round(sum(sizes[one] for one in chosen) / len(chosen)), "resources")
        asked = inputs.transactions([source.bundles[one] for one in chosen], side.server.name)
        load = side.load(asked, 4)
        rows.append(measured(side.server, f"transaction, {side.name}", load, each))
    return rows


def _load(side: _Side, source: Source, chosen: range) -> None:
    bundles = [source.bundles[number] for number in chosen]
    sent = inputs.transactions(bundles, side.server.name)
    outcome = client.good(replace(side.load(sent, 2), keep=True))
    for number, body in outcome.bodies.items():
        side.stored.learn(bundles[number], body)


def _asked(
    sides: list[_Side], what: str, requests: Callable[[Stored, str], list[bytes]], seconds: float
) -> list[Figures]:
    """The better of several rounds of each side, in turns."""
    found: dict[str, list[Figures]] = {side.name: [] for side in sides}
    for _ in range(_ROUNDS):
        for side in sides:
            asked = requests(side.stored, side.server.name)
            load = side.load(asked, _CONNECTIONS, seconds)
            found[side.name].append(
                measured(side.server, f"{what}, {side.name}", load, (1, "requests"))
            )
    return [min(several, key=_cost) for several in found.values()]


def _cost(row: Figures) -> float:
    return row.server_us + row.postgresql_us


def _more(rows: list[Figures], at: int, sides: int) -> str:
    first = at - at % sides
    return "" if at == first else f"{_cost(rows[at]) / _cost(rows[first]) - 1:+.1%}"
