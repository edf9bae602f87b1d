"""Bodies that go to a file as they come: NDJSON for $import, of which a line may be the first of a
hundred million. Nothing of it is held, and a compressed one stays as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO

from ehr_server import clock
from ehr_server.errors import TooLarge, Unavailable, UnsupportedMediaType
from ehr_server.settings import Settings
from ehr_server.web.streams import coming, cut_short

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_KINDS = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
_CODINGS = {"": "", "identity": "", "gzip": ".gz", "x-gzip": ".gz"}
_PIECE_BYTES = 1 << 20


def is_spooled(method: str, path: tuple[str, ...], headers: Mapping[str, str]) -> bool:
    """Whether the body is NDJSON to import."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return method == "POST" and path == ("$import",) and kind in _KINDS


async def received(
    headers: Mapping[str, str], receive: Receive, settings: Settings, threads: Executor
) -> Path:
    """The file with all that came. Who asks for it moves or removes it.

    Raises `TooLarge`, `UnsupportedMediaType`, `RequestTimeout`, `Unavailable` when the disk is
    full, and `Invalid` when it is cut short.
    """
    run, most = asyncio.get_running_loop().run_in_executor, settings.import_bytes_max
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in _CODINGS:
        raise UnsupportedMediaType(
            f"The coding {coding[:40]} is not understood; send gzip, or as it is.",
            vi=f"Không hiểu dạng nén {coding[:40]}; xin gửi dạng gzip hoặc không nén.",
            headers={"Accept-Encoding": "gzip"},
        )
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    path = settings.import_path / f"upload-{clock.new_id()}.ndjson{_CODINGS[coding]}"
    size, waiting = 0, bytearray()
    try:
        file = await run(threads, _opened, path)
        try:
            async for piece in coming(receive):
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                waiting += piece
                if len(waiting) >= _PIECE_BYTES:
                    await run(threads, file.write, bytes(waiting))
                    waiting.clear()
            await run(threads, file.write, bytes(waiting))
        finally:
            await run(threads, file.close)
        if length.isdigit() and int(length) != size:
            raise cut_short()
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _no_room() from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path.open("xb")


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {most} bytes (the setting import_bytes_max); send it in parts.",
        vi=f"Nội dung lớn hơn {most} byte (thiết lập import_bytes_max); xin chia nhỏ khi gửi.",
    )


def _no_room() -> Unavailable:
    return Unavailable(
        "The body could not be kept on the disk of the server, which may be full; nothing was "
        "imported.",
        vi="Không ghi được nội dung lên đĩa máy chủ, có thể đĩa đã đầy; chưa nhập gì.",
        headers={"Retry-After": "10"},
    )
