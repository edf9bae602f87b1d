"""How a search was understood and how it ran, for those who administer the server.

The values searched for are shown, but for numbers that may be somebody's, of which the hashes are;
and a plan tells of records that are not the caller's: so it is told in the answer and nowhere else,
and not to everyone.
"""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import TypeVar

from ehr_server.access.caller import Caller
from ehr_server.access.restrict import restrict
from ehr_server.clock import ticks_ms
from ehr_server.errors import Forbidden, Invalid, Unavailable
from ehr_server.issue import Issue
from ehr_server.search.private import struck
from ehr_server.search.query import Query
from ehr_server.search.told import told
from ehr_server.store.connect import Connection, is_in_transaction
from ehr_server.store.statements import Statement, explained

_T = TypeVar("_T")

SHOWN_MAX = 20_000  # characters of one statement or plan: a thousand ids are as long as that

# What statements are for, by how they begin (`search.plan`, `search.types`): English, Vietnamese.
_PURPOSES = (
    ("select p.comp, p.key, v.enc", "the page with its contents", "trang kết quả và nội dung"),
    ("with found as", "the page, gathered and sorted", "trang kết quả, gom lại rồi sắp xếp"),
    ("select count(*)", "the total", "tổng số"),
    ("select * from (", "the places of the page", "vị trí của trang kết quả"),
    ("select v.key, v.ver", "the contents", "nội dung"),
    ("select distinct type from rid", "the types of ids", "loại của các id"),
    ("explain", "how many, by the database's estimate", "ước lượng số kết quả"),
    ("select reltuples", "how many rows the table has", "ước lượng số dòng của bảng"),
    ("with reached as", "where a chain leads", "đích của chuỗi tham chiếu"),
    ("with recursive kin", "look-up of what lies above or below", "tra cứu cấp trên, cấp dưới"),
    ("select comp, key from rid", "look-up of ids", "tra cứu id"),
    ("select comp, key from ident", "look-up of identifiers", "tra cứu định danh"),
    ("select code from unit", "look-up of the units there are", "tra cứu đơn vị đo"),
    ("select value from display", "look-up of texts of codes", "tra cứu tên của mã"),
    ("select person from merged", "look-up of merged records", "tra cứu hồ sơ đã gộp"),
    ("select comp, person from merged", "look-up of merged records", "tra cứu hồ sơ đã gộp"),
    ("select comp, id, target", "which records are one person's", "các hồ sơ của một người"),
    ("select home, key from member", "look-up of a compartment", "tra cứu hồ sơ"),
)
_FURTHER = ("", "further", "khác")


def explain(
    connection: Connection,
    query: Query,
    caller: Caller,
    zone: tzinfo,
    deed: Callable[[], _T],
) -> tuple[_T, list[Issue]]:
    """What the deed finds for the query, and how, as issues of severity information: the query as
    understood, each statement that the deed ran on the connection, the time.

    `zone` is that in which times are shown. Raises `Forbidden`; `Invalid` in a transaction, whose
    locks must not be held for this; `Unavailable`, with the issues, where a statement took too
    long.
    """
    if not caller.may_explain:
        raise Forbidden(
            "Only an administrator may have a search explained.",
            vi="Chỉ quản trị viên được xem giải thích truy vấn.",
        )
    if is_in_transaction(connection):
        raise Invalid(
            "_explain cannot stand in a transaction.", vi="_explain không thể nằm trong giao dịch."
        )
    ms: list[float] = []

    def timed() -> _T:
        begun = ticks_ms()
        try:
            return deed()
        finally:
            ms.append(ticks_ms() - begun)

    found, statements, is_measured = explained(connection, timed)
    issues = [
        _understood(restrict(query, caller), zone),
        *(_ran(statements, at, query) for at in range(len(statements))),
        _time(statements, ms[0], is_measured=is_measured),
    ]
    if found is None:
        raise Unavailable(issues=[_STOPPED, *issues])
    return found, issues


def _understood(query: Query, zone: tzinfo) -> Issue:
    return _told("As understood", "Được hiểu như sau", "\n".join(told(query, zone)))


def _ran(statements: Sequence[Statement], at: int, query: Query) -> Issue:
    one = statements[at]
    begin = one.text.lstrip("(")
    _, text, vi = next((row for row in _PURPOSES if begin.startswith(row[0])), _FURTHER)
    rows = ("stopped", "bị dừng") if one.rows is None else (f"rows: {one.rows}",) * 2
    place, time = f"{at + 1}/{len(statements)}", f"{one.ms:.1f} ms"
    kept = ("; prepared", "; prepared") if one.is_kept else ("", "")
    shown = [_cut(one.sql), *([_cut("\n".join(one.plan))] if one.plan else [])]
    for _, value in query.private:
        shown = [struck(text, value) for text in shown]
    return _told(
        f"Statement {place}: {text}; {rows[0]}; {time}{kept[0]}",
        f"Câu lệnh {place}: {vi}; {rows[1]}; {time}{kept[1]}",
        "\n\n".join(shown),
    )


def _time(statements: Sequence[Statement], ms: float, *, is_measured: bool) -> Issue:
    """The whole, and how to read it: what is shown ran twice."""
    inside = sum(one.ms for one in statements)
    lines = [
        f"{ms:.1f} ms in all, {inside:.1f} of them in {len(statements)} statements.",
        "Each ran once for the answer, and once more for its plan"
        + ("." if is_measured else ", which was not measured: it took too long."),
    ]
    if any(one.is_kept for one in statements):
        lines.append(
            "Of a statement that is prepared the database may keep one plan for all values; "
            "shown is the plan for these."
        )
    return _told("Time", "Thời gian", "\n".join(lines))


def _told(text: str, vi: str, diagnostics: str) -> Issue:
    return Issue("information", "informational", text, vi=vi, diagnostics=diagnostics)


def _cut(text: str) -> str:
    more = len(text) - SHOWN_MAX
    return text if more <= 0 else f"{text[:SHOWN_MAX]}\n... and {more:,} characters more"


_STOPPED = Issue(
    "error",
    "transient",
    "The query took too long and was stopped; narrow it with further criteria.",
    vi="Truy vấn quá lâu nên đã bị dừng; xin thu hẹp bằng thêm điều kiện.",
)
