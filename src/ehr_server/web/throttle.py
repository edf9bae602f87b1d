"""Clients that ask too often, or too much at once, are turned away, and the others notice nothing.

A layer around the site that costs a refused request no thread and no look at its body. Who is a
little too early waits, so that a client with many connections is slowed to its rate, evenly, and
who floods is refused, after a pause, so that asking again at once costs little. A client is
who its token says, once a request with that token was answered; before, and without one, it is the
address that it calls from. So a token that nobody has checked yet opens no account of its own, and
an address whose calls were refused (401) again and again is turned away before they are looked at;
tokens that are known go on from there.

https://www.rfc-editor.org/rfc/rfc6585#section-4
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from ehr_server import metrics
from ehr_server.call import Request
from ehr_server.errors import TooManyRequests
from ehr_server.rest.dispatch import refused
from ehr_server.web.hops import App, Receive, Scope, Send, whose
from ehr_server.web.negotiate import styled
from ehr_server.web.rates import Rate, Rates

if TYPE_CHECKING:
    from ehr_server.fhir.outcome import Language
    from ehr_server.settings import Settings

VISITOR = "visitor"  # where the scope of a request has its `Visitor`

_RATE, _CONCURRENT = 200, 32  # where not all is open to everybody, and nothing else is set
_PATIENCE_S = 0.5  # a request that comes too early by so much waits, and is not refused
_FAILURES = Rate(per_s=1, burst=60)  # refused credentials of one address
_KNOWN_MAX = 10_000  # tokens that are remembered
_PAUSE_S = 1.0  # before a refusal: who asks again at once costs little
_PAUSED_MAX = 64  # refusals of one client that wait; the others end their connections
_UNLIMITED = ("/health/",)


@dataclass(slots=True)
class Visitor:
    """Whose request it is: `key` by what is known when it comes, "" where clients are not told
    apart. Whoever finds out who calls writes it into `name`."""

    key: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may: of a `rate` of None all, `concurrent` of 0 too."""

    rate: Rate | None
    concurrent: int

    @property
    def is_any(self) -> bool:
        """Whether clients are told apart at all."""
        return self.rate is not None or self.concurrent > 0


def limits_of(settings: Settings, *, is_open: bool) -> Limits:
    """What the settings say. `is_open`: no authentication, so that everyone is on this machine, and
    most likely one program: nothing is limited unless it is set."""
    per_s = settings.rate_per_client
    concurrent = settings.concurrent_per_client
    if per_s is None:
        per_s = 0 if is_open else _RATE
    if concurrent is None:
        concurrent = 0 if is_open else _CONCURRENT
    burst = settings.burst_per_client or per_s
    return Limits(Rate(per_s, burst) if per_s else None, concurrent)


class Throttled:
    """The app for clients that keep to their limits."""

    def __init__(self, app: App, rates: Rates, limits: Limits, language: Language) -> None:
        self._app = app
        self._rates = rates
        self._limits = limits
        self._language = language
        self._known = OrderedDict[bytes, str]()
        self._under_way = Counter[str]()
        self._paused = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_UNLIMITED):
            await self._app(scope, receive, send)
            return
        address = whose(scope["client"][0]) if scope["client"] else ""
        token = _token(scope)
        name = self._known.get(token, "") if token else ""
        key = f"client {name}" if name else f"address {address}"
        late_s, why = self._late(key, address, is_known=bool(name))
        if late_s > _PATIENCE_S:
            metrics.throttled.labels(why).inc()
            await self._turn_away(key, math.ceil(late_s), scope, send)
            return
        visitor = Visitor(key if self._limits.is_any else "")
        status = 0

        async def sent(message: Scope) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        self._under_way[key] += 1
        try:
            if late_s:
                await asyncio.sleep(late_s)
            await self._app({**scope, VISITOR: visitor}, receive, sent)
        finally:
            _one_less(self._under_way, key)
            self._learn(token, visitor, address, status)

    def _late(self, key: str, address: str, *, is_known: bool) -> tuple[float, str]:
        """After how many seconds the request is due, 0 for now; and what there was too much of."""
        if not is_known and self._rates.is_spent(f"failed {address}", _FAILURES):
            return 1 / _FAILURES.per_s, "failures"
        if 0 < self._limits.concurrent <= self._under_way[key]:
            return 1, "concurrent"
        rate = self._limits.rate
        return (self._rates.take(key, rate, _PATIENCE_S) if rate else 0), "rate"

    def _learn(self, token: bytes, visitor: Visitor, address: str, status: int) -> None:
        """Whose the token is, as far as the request told."""
        if status == 401:
            self._known.pop(token, None)
            self._rates.take(f"failed {address}", _FAILURES)
        elif token and visitor.name:
            self._known[token] = visitor.name
            self._known.move_to_end(token)
            if len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)

    async def _turn_away(self, key: str, wait: int, scope: Scope, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        request = Request(scope["method"], (), (), headers)
        refusal = TooManyRequests(
            f"Too many requests from one client; ask again after {wait} s. Nothing was done.",
            vi=f"Quá nhiều yêu cầu từ một máy khách; xin gửi lại sau {wait} giây. Chưa làm gì.",
            headers={"Retry-After": str(wait)},
        )
        answer = styled(request, refused(refusal, request.language(self._language)))
        body = answer.body if isinstance(answer.body, bytes) else b""
        raw = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(wait).encode()),
        ]
        if self._paused[key] < _PAUSED_MAX:
            self._paused[key] += 1
            try:
                await asyncio.sleep(_PAUSE_S)
            finally:
                _one_less(self._paused, key)
        else:
            raw.append((b"connection", b"close"))
        if _has_body(headers):  # it was not read
            raw.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown})


def _token(scope: Scope) -> bytes:
    """What stands for what the request shows who it is by, b"" where it shows nothing."""
    shown = b"\n".join(value for name, value in scope["headers"] if name == b"authorization")
    return blake2b(shown, digest_size=16).digest() if shown else b""


def _has_body(headers: dict[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _one_less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
