"""Sending a stream: `ehr_server.web.streams`."""

import asyncio
from collections.abc import Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ehr_server.call import Stream
from ehr_server.errors import Invalid, RequestTimeout, Unavailable
from ehr_server.web import streams
from ehr_server.web.streams import coming, send_stream

Message = MutableMapping[str, Any]


class _Reader:
    """A reader who leaves after so many pieces."""

    def __init__(self, leaves_after: int) -> None:
        self.taken: list[Message] = []
        self._leaves_after = leaves_after
        self._gone = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.taken.append(message)
        if len(self.taken) == self._leaves_after:
            self._gone.set()
            await asyncio.sleep(0)

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}


def _sent(pieces: Generator[bytes, None, None], leaves_after: int = 1000) -> list[Message]:
    async def run() -> list[Message]:
        reader = _Reader(leaves_after)
        with ThreadPoolExecutor(1) as threads:
            await send_stream(reader.send, reader.receive, Stream(100, pieces), threads)
        return reader.taken

    return asyncio.run(run())


def test_all_is_sent_and_then_the_end() -> None:
    taken = _sent(piece for piece in (b"a", b"b"))
    assert [message["body"] for message in taken] == [b"a", b"b", b""]
    assert [message.get("more_body", False) for message in taken] == [True, True, False]


def test_a_slow_reader_is_not_taken_for_a_silent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who takes a large piece in a second, where so long without a byte would be silence."""
    monkeypatch.setattr(streams, "_SILENCE_S", 0.4)
    taken: list[Message] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(len(message["body"]) / 1_000_000)
        taken.append(message)

    async def run() -> None:
        stream = Stream(None, (piece for piece in (b"x" * 1_000_000,)))
        with ThreadPoolExecutor(1) as threads:
            await send_stream(send, asyncio.Event().wait, stream, threads)  # type: ignore[arg-type]

    asyncio.run(run())
    assert sum(len(message["body"]) for message in taken) == 1_000_000
    assert not taken[-1].get("more_body", False)


def test_nothing_more_is_made_for_who_has_left() -> None:
    made: list[int] = []
    is_closed = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            for number in range(100):
                made.append(number)
                yield b"x"
        finally:
            is_closed.append(True)

    _sent(pieces(), leaves_after=3)
    assert len(made) <= 4
    assert is_closed == [True]


def test_an_answer_that_cannot_go_on_has_no_end() -> None:
    """The connection is closed before all has come, and so the reader knows."""

    def pieces() -> Generator[bytes, None, None]:
        yield b"x"
        raise Unavailable("away")

    assert [message["body"] for message in _sent(pieces())] == [b"x"]


def _come(*messages: Message) -> list[bytes]:
    """What came of a body; after the messages there is silence."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def run() -> list[bytes]:
        return [piece async for piece in coming(receive)]

    return asyncio.run(run())


def _piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_comes_to_its_end() -> None:
    assert _come(_piece(b"a", more=True), _piece(b"b", more=False)) == [b"a", b"b"]


def test_silence_in_the_middle_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """408: https://www.rfc-editor.org/rfc/rfc9110#name-408-request-timeout"""
    monkeypatch.setattr(streams, "_SILENCE_S", 0.01)
    with pytest.raises(RequestTimeout):
        _come(_piece(b"a", more=True))


def test_a_connection_that_ends_in_the_middle_is_told_apart_from_the_end() -> None:
    with pytest.raises(Invalid):
        _come(_piece(b"a", more=True), {"type": "http.disconnect"})
