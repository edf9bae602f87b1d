"""search of a type. https://hl7.org/fhir/R4/http.html#search"""

from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode

from ehr_server.access.find import Found, find
from ehr_server.call import Answer, Call
from ehr_server.fhir import bundle, json
from ehr_server.fhir.outcome import Language, operation_outcome
from ehr_server.issue import Issue
from ehr_server.search.parse import parse
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules

PAGE_KEY = "page_key"


def search(call: Call) -> Answer:
    """200 with a searchset; every fault of the parameters is named in the refusal."""
    settings = call.settings
    rules = Rules(
        call.means.zone,
        call.base_url,
        settings.count_default,
        settings.count_max,
        call.request.preference("handling") == "lenient",
    )
    query = parse(call.parts["type"], call.request.query, rules)
    with call.store.connection() as connection:
        found = find(call.store, connection, query, call.caller, call.store.secret(PAGE_KEY))
    return Answer(200, _searchset(call, query, found))


def _searchset(call: Call, query: Query, found: Found) -> bytes:
    entries = [
        bundle.search_entry(call.base_url, match.content, "match") for match in found.matches
    ]
    if query.ignored:
        entries.append(_left_out(query.ignored, call.language))
    return bundle.bundle("searchset", entries, _links(call, query, found), found.total)


def _links(call: Call, query: Query, found: Found) -> Sequence[bundle.Link]:
    """self shows what was searched really; next leads to the page after this one."""
    here = f"{call.base_url}/{query.type}"
    asked = [pair for pair in call.request.query if pair[0] not in query.ignored]
    links = [("self", _url(here, asked))]
    if found.next is not None:
        rest = [pair for pair in asked if pair[0] != "_page"]
        links.append(("next", _url(here, [*rest, ("_page", found.next)])))
    return links


def _url(here: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), quote_via=quote, safe="|,:/")
    return f"{here}?{query}" if query else here


def _left_out(names: Sequence[str], language: Language) -> bytes:
    listed = ", ".join(names)
    text = f"Left out, because there are no such search parameters: {listed}."
    vi = f"Đã bỏ qua vì không có các tham số tìm kiếm này: {listed}."
    outcome = operation_outcome([Issue("warning", "not-supported", text, vi=vi)], language)
    return b'{"resource":' + json.write(outcome) + b',"search":{"mode":"outcome"}}'
