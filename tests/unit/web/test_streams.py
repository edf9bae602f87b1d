"""Sending a stream: `ehr_server.web.streams`."""

import asyncio
from collections.abc import Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ehr_server.call import Stream
from ehr_server.errors import Unavailable
from ehr_server.web.streams import send_stream

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
