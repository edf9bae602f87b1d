"""Files fetched from the servers that the settings name, and from no others.

A manifest of a bulk export (https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status)
stands for its files. A redirect is not followed: it may lead anywhere.
"""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ehr_server.dialled import dialled
from ehr_server.errors import Refusal, Unavailable, Unprocessable
from ehr_server.fhir import json
from ehr_server.intake.sources import Source, source
from ehr_server.settings import Settings

_PIECE_BYTES = 1 << 20
_TIMEOUT_S = 60
_MANIFEST_BYTES = 64 << 20
_NDJSON = "application/fhir+ndjson"
_MANIFEST = "application/json"
_ADDRESS = re.compile(r"[!-~]+", re.ASCII)  # RFC 3986: all else is escaped in an address


def is_allowed(url: str, settings: Settings) -> bool:
    """Whether the settings name the origin of an address."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_plain = parts.username is None and parts.password is None
    return is_plain and f"{parts.scheme}://{parts.netloc}".lower() in settings.import_sources


def fetched(
    asked: list[dict[str, Any]], folder: Path, settings: Settings, go_on: Callable[[], None]
) -> list[Source]:
    """The files, each in the folder: `asked` are addresses (`url`) of files, or of manifests
    (`is_manifest`). What was fetched before is not fetched again.

    Raises `Unavailable` when a server does not answer, `Unprocessable` for what it answers.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = []
    for number, url in enumerate(_urls(asked, settings, go_on)):
        ready = [folder / f"fetched-{number:06}.ndjson{end}" for end in ("", ".gz")]
        path = next((one for one in ready if one.is_file()), None)
        if path is None:
            path = _fetch(url, ready, (settings, go_on))
        found.append(source(path, url))
    return found


def _urls(
    asked: list[dict[str, Any]], settings: Settings, go_on: Callable[[], None]
) -> Iterator[str]:
    for one in asked:
        if not one["is_manifest"]:
            yield one["url"]
            continue
        answer = bytearray()
        for piece in _pieces(one["url"], _MANIFEST, (settings, go_on))[1]:
            answer += piece
            if len(answer) > _MANIFEST_BYTES:
                raise _not_a_manifest(one["url"])
        try:
            manifest = json.read(bytes(answer))
            files = [
                file["url"] for kind in ("output", "deleted") for file in manifest.get(kind, ())
            ]
        except (Refusal, AttributeError, KeyError, TypeError):
            raise _not_a_manifest(one["url"]) from None
        if not all(isinstance(url, str) for url in files):
            raise _not_a_manifest(one["url"])
        if manifest.get("link"):
            raise _of_pages(one["url"])
        yield from files


def _fetch(url: str, ready: list[Path], hands: tuple[Settings, Callable[[], None]]) -> Path:
    is_gzip, pieces = _pieces(url, _NDJSON, hands)
    path = ready[is_gzip or urlsplit(url).path.endswith(".gz")]
    unfinished = path.with_suffix(".unfinished")
    size = 0
    with unfinished.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > hands[0].import_bytes_max:
                raise Unprocessable(
                    f"{_shown(url)} is larger than {hands[0].import_bytes_max} bytes (the setting "
                    "import_bytes_max).",
                    vi=f"{_shown(url)} lớn hơn {hands[0].import_bytes_max} byte (thiết lập "
                    "import_bytes_max).",
                )
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path


def _pieces(
    url: str, kind: str, hands: tuple[Settings, Callable[[], None]]
) -> tuple[bool, Iterator[bytes]]:
    """Whether it comes compressed, and what comes."""
    settings, go_on = hands
    if not is_allowed(url, settings) or not _ADDRESS.fullmatch(url):
        raise refusal_of(url)
    connection, target = dialled(url, _TIMEOUT_S)
    try:
        coding = "identity" if kind == _MANIFEST else "gzip"
        connection.request("GET", target, headers={"Accept": kind, "Accept-Encoding": coding})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _away(url) from error
    if answer.status != http.client.OK:
        connection.close()
        raise Unprocessable(
            f"{_shown(url)} answers {answer.status}; 200 and the file are expected.",
            vi=f"{_shown(url)} trả lời {answer.status}; cần 200 và tệp.",
        )
    is_gzip = answer.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip")

    def coming() -> Iterator[bytes]:
        try:
            while piece := answer.read(_PIECE_BYTES):
                go_on()
                yield piece
            if answer.length:  # of what was announced, so much has not come
                raise _away(url)
        except (OSError, http.client.HTTPException) as error:
            raise _away(url) from error
        finally:
            connection.close()

    return is_gzip, coming()


def refusal_of(url: str) -> Unprocessable:
    """Of an address that is not to be fetched from."""
    return Unprocessable(
        f"{_shown(url)} is of no origin that the setting import_origins names; nothing is fetched "
        "from there.",
        vi=f"{_shown(url)} không thuộc nguồn nào trong thiết lập import_origins; không tải từ đó.",
    )


def _away(url: str) -> Unavailable:
    return Unavailable(
        f"{_shown(url)} could not be fetched; it is tried again.",
        vi=f"Không tải được {_shown(url)}; sẽ thử lại.",
    )


def _not_a_manifest(url: str) -> Unprocessable:
    return Unprocessable(
        f"{_shown(url)} is no manifest of a bulk export: an object with `output` is expected.",
        vi=f"{_shown(url)} không phải manifest của bulk export: cần đối tượng có `output`.",
    )


def _of_pages(url: str) -> Unprocessable:
    return Unprocessable(
        f"{_shown(url)} is one of several pages of a manifest; name them all, or export without "
        "allowPartialManifests.",
        vi=f"{_shown(url)} là một trong nhiều trang của manifest; hãy nêu tất cả, hoặc xuất không "
        "dùng allowPartialManifests.",
    )


def _shown(url: str) -> str:
    """Without what may be a secret: a signature in the query."""
    return url.partition("?")[0][:200]
