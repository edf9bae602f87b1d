"""Who is turned away, and whose request it is taken for: `ehr_server.web.throttle`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ehr_server.fhir import json
from ehr_server.settings import Settings
from ehr_server.web import throttle
from ehr_server.web.hops import Receive, Scope, Send
from ehr_server.web.rates import Rate, Rates
from ehr_server.web.throttle import VISITOR, Limits, Throttled, limits_of

_NAMES = {"Bearer good": "https://issuer lab", "Bearer renewed": "https://issuer lab"}


async def _site(scope: Scope, _receive: Receive, send: Send) -> None:
    """A site that knows its callers by their tokens, as the FHIR base does."""
    shown = dict(scope["headers"]).get(b"authorization", b"").decode()
    name = _NAMES.get(shown, "")
    scope[VISITOR].name = name
    status = 401 if shown and not name else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": scope[VISITOR].key.encode()})


class _Asked:
    """Asks a throttled site, and remembers what was answered last."""

    def __init__(self, limits: Limits, site: Any = _site) -> None:
        self._throttled = Throttled(site, Rates(1024), limits, "en")
        self.headers: dict[str, str] = {}
        self.body = b""

    async def __call__(self, token: str = "", address: str = "192.0.2.1", **more: str) -> int:
        headers = [(name.replace("_", "-").encode(), text.encode()) for name, text in more.items()]
        if token:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        scope = {"type": "http", "method": "GET", "path": "/fhir/Patient", "headers": headers}
        scope["client"] = (address, 1)
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self._throttled(scope, None, send)  # type: ignore[arg-type]
        self.headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        self.body = sent[1]["body"]
        return int(sent[0]["status"])


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_PAUSE_S", 0)


def _run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


_SLOW = Limits(Rate(per_s=0.01, burst=3), 0)


def test_more_than_the_burst_is_429_with_retry_after_and_an_outcome() -> None:
    """RFC 6585, 4"""

    async def test() -> None:
        ask = _Asked(_SLOW)
        assert [await ask() for _ in range(4)] == [200, 200, 200, 429]
        assert 90 < int(ask.headers["retry-after"]) <= 100
        issue = json.read(ask.body)["issue"][0]  # type: ignore[index, call-overload]
        assert issue["code"] == "throttled"
        assert await ask(accept_language="vi") == 429
        assert "Quá nhiều yêu cầu" in ask.body.decode()
        assert await ask(address="192.0.2.2") == 200

    _run(test)


def test_a_client_is_who_its_token_says_whatever_address_or_token_it_comes_with() -> None:
    async def test() -> None:
        ask = _Asked(_SLOW)
        assert await ask("good") == 200  # the address's, since nobody knew the token
        assert ask.body == b"address 192.0.2.1"
        statuses = [await ask("good", f"192.0.2.{number}") for number in range(5, 9)]
        assert statuses == [200, 200, 200, 429]
        assert await ask("renewed", "192.0.2.9") == 200
        assert await ask("renewed", "192.0.2.9") == 429
        assert await ask() == 200

    _run(test)


def test_a_token_that_nobody_checked_opens_no_account_of_its_own() -> None:
    async def test() -> None:
        ask = _Asked(_SLOW)
        statuses = [await ask(f"made-up-{number}") for number in range(10)]
        assert statuses == [401] * 3 + [429] * 7

    _run(test)


def test_an_address_that_fails_again_and_again_is_slowed_and_known_tokens_go_on() -> None:
    async def test() -> None:
        ask = _Asked(Limits(None, 0))
        assert await ask("good") == 200
        statuses = [await ask(f"guess-{number}") for number in range(100)]
        assert statuses == [401] * 60 + [429] * 40
        assert await ask("good") == 200
        assert await ask() == 429
        assert await ask("renewed", "192.0.2.2") == 200

    _run(test)


def test_a_token_that_is_refused_is_forgotten() -> None:
    async def test() -> None:
        ask = _Asked(_SLOW)
        await ask("good")
        await ask("good")
        assert ask.body == b"client https://issuer lab"
        revoked = _NAMES.pop("Bearer good")
        try:
            assert await ask("good") == 401
            await ask("good")
            assert ask.body == b"address 192.0.2.1"
        finally:
            _NAMES["Bearer good"] = revoked

    _run(test)


def test_no_more_than_so_many_are_under_way() -> None:
    async def test() -> None:
        free = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await free.wait()
            await _site(scope, receive, send)

        ask = _Asked(Limits(None, 2), slow)
        first = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        assert await ask() == 429
        other = asyncio.create_task(ask(address="192.0.2.2"))
        await asyncio.sleep(0)
        free.set()
        assert await asyncio.gather(*first, other) == [200] * 3
        assert await ask() == 200

    _run(test)


def test_who_asks_again_at_once_is_made_to_wait_and_in_the_end_to_connect_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "_PAUSE_S", 0.2)

    async def test() -> None:
        ask = _Asked(Limits(Rate(0.01, 1), 0))
        assert await ask() == 200
        waiting = [asyncio.create_task(ask()) for _ in range(throttle._PAUSED_MAX)]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in waiting)
        assert await ask() == 429
        assert ask.headers["connection"] == "close"
        assert await asyncio.gather(*waiting) == [429] * throttle._PAUSED_MAX
        assert "connection" not in ask.headers
        assert await ask(content_length="5") == 429  # what comes now was never read
        assert ask.headers["connection"] == "close"

    _run(test)


def test_who_is_a_little_too_early_waits_and_is_not_refused() -> None:
    async def test() -> None:
        ask = _Asked(Limits(Rate(per_s=100, burst=1), 0))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await asyncio.gather(*(ask() for _ in range(20))) == [200] * 20
        assert 0.18 < loop.time() - begun < 5

    _run(test)


def test_what_is_limited_by_default() -> None:
    assert not limits_of(Settings(), is_open=True).is_any
    assert limits_of(Settings(), is_open=False) == Limits(Rate(200, 200), 32)
    off = Settings(rate_per_client=0, concurrent_per_client=0)
    assert not limits_of(off, is_open=False).is_any
    few = Settings(rate_per_client=5, burst_per_client=7)
    assert limits_of(few, is_open=True) == Limits(Rate(5, 7), 0)


def test_where_nothing_is_limited_clients_are_not_told_apart() -> None:
    async def test() -> None:
        ask = _Asked(Limits(None, 0))
        assert await ask() == 200
        assert ask.body == b""

    _run(test)
