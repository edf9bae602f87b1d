"""A range of the bytes of a content. https://www.rfc-editor.org/rfc/rfc9110#range"""

import re
from collections.abc import Mapping

from ehr_server.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def asked(headers: Mapping[str, str], size: int, tag: str = "") -> tuple[int, int] | None:
    """The first byte and the one after the last that are asked for, of so many; None for all.

    Several ranges, and what cannot be read, are as if they were not there. So is a range with an
    `If-Range` that is not the strong entity `tag` of the content. Raises `RangeNotSatisfiable`.
    """
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or headers.get("if-range", tag).strip() != tag:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise RangeNotSatisfiable(
            f"The content has {size} bytes; the range lies beyond.",
            vi=f"Nội dung có {size} byte; khoảng yêu cầu nằm ngoài.",
            headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            | ({"ETag": tag} if tag else {}),
        )
    return start, end
