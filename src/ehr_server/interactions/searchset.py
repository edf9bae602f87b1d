"""A page of what was found as a Bundle. https://hl7.org/fhir/R4/bundle.html#searchset"""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from ehr_server import sealing
from ehr_server.access.find import Found
from ehr_server.access.include import INCLUDED_MAX, ROUNDS_MAX, Included
from ehr_server.call import Call
from ehr_server.definitions.subset import Subset, subset
from ehr_server.fhir import bundle, json
from ehr_server.fhir.outcome import Language, operation_outcome
from ehr_server.issue import Issue
from ehr_server.redact import without_numbers
from ehr_server.search.parse import HARMLESS
from ehr_server.search.private import shown
from ehr_server.search.query import Query
from ehr_server.search.results import EXPLAIN


def searchset(
    call: Call, query: Query, found: Found, further: Included, told: Sequence[Issue]
) -> bytes:
    """The matches, then what comes along; before them how the search ran (`told`), if that was
    asked for, and after them what the client should know."""
    entries = [_outcome(told, call.language)] if told else []
    entries += _entries(call, (match.content for match in found.matches), "match", query.subset)
    entries += _entries(
        call, further.contents, "include", query.subset and query.subset.of_included()
    )
    if query.ignored:
        entries.append(_outcome([_left_out([name for name, _ in query.ignored])], call.language))
    if further.cut:
        entries.append(_outcome([_cut(further.cut)], call.language))
    return bundle.bundle("searchset", entries, _links(call, query, found), found.total)


def _entries(
    call: Call, contents: Iterable[bytes], mode: str, wanted: Subset | None
) -> Iterator[bytes]:
    for content in contents:
        yield bundle.search_entry(call.base_url, _wanted(content, wanted), mode)


def _wanted(content: bytes, wanted: Subset | None) -> bytes:
    """As much of the content as is wanted: all of it costs nothing."""
    return content if wanted is None else json.write(subset(json.read_stored(content), wanted))


def _links(call: Call, query: Query, found: Found) -> Sequence[bundle.Link]:
    """self shows what was searched really; the others lead to the pages around this one. What no
    address may show is sealed in all of them."""
    path = (quote(segment, safe="*$") for segment in call.request.path)
    here = "/".join((call.base_url, *path)).removesuffix("/_search")
    unsaid = {*HARMLESS, EXPLAIN}
    asked = [
        pair for pair in call.request.query if pair[0] not in unsaid and pair not in query.ignored
    ]
    pages = [pair for pair in asked if pair[0] == "_page"]
    rest = shown(
        [pair for pair in asked if pair not in pages],
        {*query.private, *call.request.private},
        call.request.path,
        call.store.secret(sealing.KEY),
    )
    links = [("self", bundle.url(here, [*rest, *pages]))]
    if query.page is not None:
        links.append(("first", bundle.url(here, rest)))
    for relation, token in (("previous", found.previous), ("next", found.next)):
        if token is not None:
            links.append((relation, bundle.url(here, [*rest, ("_page", token)])))
    return links


def _left_out(names: Sequence[str]) -> Issue:
    listed = without_numbers(", ".join(dict.fromkeys(names)))
    text = f"Left out, because these are no search parameters here, or not in this form: {listed}."
    vi = f"Đã bỏ qua vì ở đây không có tham số tìm kiếm này, hoặc không ở dạng này: {listed}."
    return Issue("warning", "not-supported", text, vi=vi)


def _cut(includes: Sequence[str]) -> Issue:
    listed = ", ".join(includes)
    text = (
        f"Not all is here that was to come along, by {listed}: a page takes {INCLUDED_MAX} further"
        f" resources, found in {ROUNDS_MAX} rounds. Ask for smaller pages, or for these apart."
    )
    vi = (
        f"Chưa kèm theo đủ, do {listed}: mỗi trang kèm tối đa {INCLUDED_MAX} tài nguyên, tìm trong"
        f" {ROUNDS_MAX} vòng. Xin giảm _count hoặc tìm riêng."
    )
    return Issue("warning", "too-costly", text, vi=vi)


def _outcome(issues: Sequence[Issue], language: Language) -> bytes:
    outcome = operation_outcome(issues, language, most=len(issues))
    return b'{"resource":' + json.write(outcome) + b',"search":{"mode":"outcome"}}'
