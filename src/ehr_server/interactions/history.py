"""history of a resource, a type or all. https://hl7.org/fhir/R4/http.html#history"""

from collections.abc import Sequence
from datetime import datetime
from itertools import compress
from urllib.parse import urlencode

from ehr_server.access.seen import visible
from ehr_server.call import Answer, Call
from ehr_server.errors import Invalid
from ehr_server.fhir import bundle
from ehr_server.fhir.dates import span
from ehr_server.interactions.read import where_it_lies
from ehr_server.redact import without_numbers
from ehr_server.search.parse import PRESENTATION
from ehr_server.store import history
from ehr_server.store.history import Excerpt
from ehr_server.store.read import CREATE, DELETE, UPDATE, UPSERT, Place, Version

_DONE = {
    CREATE: ("POST", 201),
    UPSERT: ("PUT", 201),
    UPDATE: ("PUT", 200),
    DELETE: ("DELETE", 204),
}
_NAMES = {"_since", "_count", "_page", *PRESENTATION}


def history_instance(call: Call) -> Answer:
    """All versions of one resource, newest first; its deletions too."""
    wanted, type_name = _excerpt(call), call.parts["type"]
    with call.store.connection() as connection:

        def look(at: Place) -> tuple[list[Version], tuple[int, int] | None, int] | None:
            seen = history.of_instance(call.store, connection, type_name, at, wanted)
            return seen if seen[2] else None

        versions, after, total = where_it_lies(call, connection, look) or ([], None, 0)
        if call.caller.sees_all(type_name):
            return _answer(call, versions, after, None if wanted.since else total)
        told = visible(call.store, connection, call.caller, [one.content for one in versions])
    return _answer(call, list(compress(versions, told)), after)


def history_type(call: Call) -> Answer:
    """The versions of one type, newest first, as far as nothing in flight can still appear."""
    with call.store.connection() as connection:
        return _answer(
            call, *history.of_type(call.store, connection, call.parts.get("type"), _excerpt(call))
        )


def _excerpt(call: Call) -> Excerpt:
    given = dict(call.request.query)
    unknown = sorted(set(given) - _NAMES)
    if unknown:
        listed = without_numbers(", ".join(unknown))
        raise Invalid(
            f"A history does not know the parameter {listed}; it knows _since and _count.",
            vi=f"Lịch sử không có tham số {listed}; chỉ có _since và _count.",
        )
    return Excerpt(_count(call, given.get("_count")), _since(call, given), _before(given))


def _count(call: Call, text: str | None) -> int:
    if text is None:
        return call.settings.count_default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid("_count must be a whole number.", vi="_count phải là số nguyên.")
    return min(int(text), call.settings.count_max)


def _since(call: Call, given: dict[str, str]) -> datetime | None:
    if "_since" not in given:
        return None
    # In a URL the plus of a time zone is a space unless the sender escaped it.
    try:
        return span(given["_since"].replace(" ", "+"), call.means.rules.zone)[0]
    except ValueError as error:
        raise Invalid(f"_since {error}.", vi="_since không phải thời điểm hợp lệ.") from None


def _before(given: dict[str, str]) -> tuple[int, int] | None:
    if "_page" not in given:
        return None
    tx, _, key = given["_page"].partition(".")
    try:
        return int(tx, 36), int(key, 36)
    except ValueError:
        raise Invalid(
            "_page is not a page of this history; begin again without it.",
            vi="_page không phải trang của lịch sử này; xin xem lại từ đầu.",
        ) from None


def _answer(
    call: Call,
    versions: Sequence[Version],
    after: tuple[int, int] | None,
    total: int | None = None,
) -> Answer:
    call.caller.trail.saw(version.comp for version in versions)
    entries = (
        bundle.history_entry(
            call.base_url, version.content, (version.ver, version.at), _DONE[version.deed]
        )
        for version in versions
    )
    here = "/".join((call.base_url, *call.request.path))
    kept = [(name, value) for name, value in call.request.query if name != "_page"]
    links = [("self", _url(here, list(call.request.query)))]
    if after is not None:
        page = f"{_base36(after[0])}.{_base36(after[1])}"
        links.append(("next", _url(here, [*kept, ("_page", page)])))
    return Answer(200, bundle.bundle("history", entries, links, total))


def _url(here: str, query: list[tuple[str, str]]) -> str:
    return f"{here}?{urlencode(query)}" if query else here


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    left = abs(number)
    while left:
        left, digit = divmod(left, 36)
        text = digits[digit] + text
    return ("-" if number < 0 else "") + (text or "0")
