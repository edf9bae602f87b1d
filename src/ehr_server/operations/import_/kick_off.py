"""The kick-off of an import.

https://github.com/smart-on-fhir/bulk-import/blob/master/import.md#bulk-data-import-kick-off-request
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import Answer
from ehr_server.errors import Invalid, Unprocessable
from ehr_server.intake.fetch import is_allowed, refusal_of
from ehr_server.intake.sources import Source, files, source
from ehr_server.operations.import_.asked import Asked, asked, wish
from ehr_server.redact import without_numbers
from ehr_server.store import import_ as kept
from ehr_server.store import queue

if TYPE_CHECKING:
    from ehr_server.call import Call

_FILE = "file:"
_FETCHED = ("http://", "https://")


def import_(call: Call) -> Answer:
    """202 with the address of the status. Raises `Invalid` (400) for what cannot be understood,
    `Unprocessable` (422) for a file that may not be read, or is not there."""
    request, id_ = call.request, clock.new_id()
    if request.preference("respond-async") is None:
        raise Invalid(
            "$import runs in the background: send the header Prefer: respond-async.",
            vi="$import chạy nền: hãy gửi tiêu đề Prefer: respond-async.",
        )
    told: dict[str, Any] = {
        "at": clock.instant(clock.now()),
        "url": "/".join((call.base_url, *request.path)),
        **call.caller.as_asker(),
        "base_url": call.base_url,
    }
    if request.spooled is not None:
        told["wish"] = wish(dict(request.query)).as_json()
        told["sources"] = [_uploaded(call, request.spooled, id_).as_json()]
        told["input"] = ["the body of the request"]
    else:
        is_lenient = request.preference("handling") == "lenient"
        found = asked(request.parsed(), is_lenient=is_lenient)
        told["wish"] = found.wish.as_json()
        told |= _named(call, found)
    with call.store.connection() as connection:
        job = queue.Job(id_, kept.KIND, queue.QUEUED, told, {}, 0, clock.now())
        queue.put(connection, job)
    return Answer(202, headers={"Content-Location": f"{call.base_url}/$import-status/{id_}"})


def _uploaded(call: Call, spooled: Path, id_: str) -> Source:
    """What came as the body, in the folder of the job."""
    folder = call.settings.import_path / id_
    folder.mkdir(parents=True, mode=0o700)
    path = folder / spooled.name
    spooled.replace(path)
    return source(path, "body")


def _named(call: Call, found: Asked) -> dict[str, Any]:
    """The files of the folder of the settings, and those that are to be fetched."""
    fetched = [url for url in found.urls if url.startswith(_FETCHED)]
    for url in (*fetched, *found.manifests):
        if not is_allowed(url, call.settings):
            raise refusal_of(url)
    if fetched and len(fetched) < len(found.urls):
        raise Invalid(
            "The inputs are all addresses, or all files of the folder; not both at once.",
            vi="Các tệp phải cùng là địa chỉ mạng hoặc cùng trong thư mục; không trộn lẫn.",
            expression=("input.url",),
        )
    local = [one for url in found.urls if url not in fetched for one in _below(call, url)]
    if fetched or found.manifests:
        to_fetch = [{"url": url, "is_manifest": False} for url in fetched]
        to_fetch += [{"url": url, "is_manifest": True} for url in found.manifests]
        return {"fetch": to_fetch, "sources": [], "input": [*fetched, *found.manifests]}
    return {"sources": [one.as_json() for one in local], "input": [one.name for one in local]}


def _below(call: Call, url: str) -> list[Source]:
    """The file, or the files of the folder, below the folder of the settings. No path leads out of
    it, and no link is followed."""
    folder = call.settings.import_dir
    if folder is None:
        raise Unprocessable(
            "No files are read here: the setting import_dir names no folder.",
            vi="Máy chủ không đọc tệp: chưa đặt thiết lập import_dir.",
            expression=("input.url",),
        )
    root = folder.resolve()
    text = url.removeprefix(_FILE).removeprefix("//")
    path = root / text
    try:
        several = files([path]) if _is_within(path, root) else []
        if not several or not all(_is_within(one, root) for one in several):
            raise _not_there(url)
        return [source(one, str(one.relative_to(root))) for one in several]
    except (OSError, ValueError):  # such as a name with NUL
        raise _not_there(url) from None


def _is_within(path: Path, root: Path) -> bool:
    """Whether a path is the very one that it says, below the root."""
    return path.is_relative_to(root) and path.resolve() == path


def _not_there(url: str) -> Unprocessable:
    told = without_numbers(url)[:200]
    return Unprocessable(
        f"There is no file {told} in the folder of imports; a path is given from that folder on, "
        "and leads through no links.",
        vi=f"Không có tệp {told} trong thư mục nhập; đường dẫn tính từ thư mục đó, không qua liên "
        "kết.",
        expression=("input.url",),
    )
