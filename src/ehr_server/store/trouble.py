"""What goes wrong between the server and its database, as the sender is told: by SQLSTATE alone.

https://www.postgresql.org/docs/current/errcodes-appendix.html. All of it passes: whoever was
refused may send again, and `Retry-After` says when. Texts of the database are not passed on, since
they quote values.
"""

from __future__ import annotations

import select
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from ehr_server.errors import Unavailable
from ehr_server.issue import Issue

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
READ_ONLY = "25006"  # a standby, or a database that was set so

_DISK_FULL = "53100"
_STOPPED = "57014"
_RETRY_S = {_DISK_FULL: 10, READ_ONLY: 5}
# Classes and codes after which the connection is of no use: connection exceptions, shutdowns and
# crashes, time-outs of a session.
_LOST = ("08", "57P", "25P03", "25P04")


class Uncertain(Unavailable):
    """The connection broke while a commit was under way: it may have happened or not."""


@dataclass(frozen=True, slots=True)
class Room:
    """The disk of a database on this machine: below `least_bytes` free nothing more is stored, so
    that PostgreSQL, which stops when it cannot write its log, goes on serving reads."""

    folder: Path
    least_bytes: int

    def check(self) -> None:
        """Raises `Unavailable` while there is too little; 2 µs."""
        if shutil.disk_usage(self.folder).free < self.least_bytes:
            raise _unavailable(_DISK_FULL)


def told(error: psycopg.Error) -> Unavailable | None:
    """What the sender is told of an error that passes; None of one that is a fault of ours."""
    state = error.sqlstate or ""
    if state in _TEXTS or state == _STOPPED or isinstance(error, psycopg.OperationalError):
        return _unavailable(state)
    return _unavailable(state) if state.startswith(_LOST) else None


def uncertain() -> Uncertain:
    """The refusal of a write whose commit was under way as the connection broke."""
    return Uncertain(issues=[_UNCERTAIN], headers={"Retry-After": "1"})


def is_lost(connection: psycopg.Connection[Any], error: BaseException) -> bool:
    """Whether the error took the connection with it, so that nobody knows what became of the last
    statement. An error that PostgreSQL reported and lived on with is certain."""
    if connection.closed:
        return True
    if isinstance(error, psycopg.errors.PipelineAborted):
        return False
    return isinstance(error, psycopg.Error) and (
        error.sqlstate is None or error.sqlstate.startswith(_LOST)
    )


def check_alive(connection: psycopg.Connection[Any]) -> None:
    """Raises `psycopg.OperationalError` for a connection whose other end is gone.

    Nothing is sent in the usual case: a server that ended has said so or closed, and then there is
    something to read; 3 µs, where a round trip takes 40.
    """
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if socket.poll(0):
        connection.execute("")


def _unavailable(state: str) -> Unavailable:
    issue = _SLOW if state == _STOPPED else _TEXTS.get(state, _AWAY)
    return Unavailable(issues=[issue], headers={"Retry-After": str(_RETRY_S.get(state, 1))})


_AWAY = Issue(
    "error",
    "transient",
    "The database is not available at the moment; try again.",
    vi="Cơ sở dữ liệu tạm thời không sẵn sàng; xin thử lại.",
)
_SLOW = Issue(
    "error",
    "timeout",
    "The query took too long and was stopped; narrow it with further criteria.",
    vi="Truy vấn quá lâu nên đã bị dừng; xin thu hẹp bằng thêm điều kiện.",
)
_UNCERTAIN = Issue(
    "error",
    "incomplete",
    "The database was lost during the commit: whether this was stored is not known. Send it again "
    "with the same Idempotency-Key, which stores nothing twice, or ask GET $receipt?key=...; "
    "without a key, search for it first.",
    vi="Mất kết nối cơ sở dữ liệu khi đang ghi: chưa rõ đã lưu hay chưa. Hãy gửi lại với cùng "
    "Idempotency-Key (không lưu trùng), hoặc hỏi GET $receipt?key=...; nếu không có khóa thì hãy "
    "tìm trước khi gửi lại.",
)
_TEXTS = {
    _DISK_FULL: Issue(
        "error",
        "no-store",
        "The disk of the database is full: nothing was stored. Reading goes on; send it again when "
        "there is room.",
        vi="Ổ đĩa của cơ sở dữ liệu đã đầy: không có gì được lưu. Vẫn đọc được; xin gửi lại khi có "
        "chỗ trống.",
    ),
    READ_ONLY: Issue(
        "error",
        "no-store",
        "The database takes no writes at the moment (it is read-only, or a standby is taking "
        "over): nothing was stored. Send it again.",
        vi="Cơ sở dữ liệu tạm thời chỉ cho đọc (đang chuyển sang máy dự phòng): không có gì được "
        "lưu. Xin gửi lại.",
    ),
}
