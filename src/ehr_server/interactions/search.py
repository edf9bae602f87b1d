"""search of a type. https://hl7.org/fhir/R4/http.html#search"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from ehr_server.access.explain import explain
from ehr_server.access.find import Found, find
from ehr_server.call import Answer, Call
from ehr_server.definitions.subset import subset
from ehr_server.fhir import bundle, json
from ehr_server.fhir.outcome import Language, operation_outcome
from ehr_server.issue import Issue
from ehr_server.search.parse import HARMLESS, parse
from ehr_server.search.query import Query
from ehr_server.search.results import EXPLAIN
from ehr_server.store.connect import Connection

PAGE_KEY = "page_key"


def search(call: Call) -> Answer:
    """200 with a searchset; every fault of the parameters is named in the refusal."""
    rules = replace(
        call.means.rules,
        base=call.base_url,
        lenient=call.request.preference("handling") == "lenient",
    )
    query = parse(call.parts["type"], call.request.query, rules)
    told: Sequence[Issue] = ()
    with call.store.connection() as connection:
        if query.is_explained:
            found, told = explain(
                connection, query, call.caller, rules.zone, lambda: _found(call, connection, query)
            )
        else:
            found = _found(call, connection, query)
    return Answer(200, _searchset(call, query, found, told))


def _found(call: Call, connection: Connection, query: Query) -> Found:
    return find(call.store, connection, query, call.caller, call.store.secret(PAGE_KEY))


def _searchset(call: Call, query: Query, found: Found, told: Sequence[Issue]) -> bytes:
    """`told`: how the search ran, if that was asked for; it comes before what is found."""
    contents = (_wanted(match.content, query) for match in found.matches)
    entries = [_outcome_entry(told, call.language)] if told else []
    entries += [bundle.search_entry(call.base_url, content, "match") for content in contents]
    if query.ignored:
        entries.append(_outcome_entry([_left_out(query.ignored)], call.language))
    return bundle.bundle("searchset", entries, _links(call, query, found), found.total)


def _wanted(content: bytes, query: Query) -> bytes:
    """As much of the content as is wanted: all of it costs nothing."""
    if query.subset is None:
        return content
    return json.write(subset(json.read_stored(content), query.subset))


def _links(call: Call, query: Query, found: Found) -> Sequence[bundle.Link]:
    """self shows what was searched really; the others lead to the pages around this one."""
    here = f"{call.base_url}/{query.type}"
    asked = [
        pair
        for pair in call.request.query
        if pair[0] not in query.ignored and pair[0] not in HARMLESS and pair[0] != EXPLAIN
    ]
    rest = [pair for pair in asked if pair[0] != "_page"]
    links = [("self", _url(here, asked))]
    if query.page is not None:
        links.append(("first", _url(here, rest)))
    for relation, token in (("previous", found.previous), ("next", found.next)):
        if token is not None:
            links.append((relation, _url(here, [*rest, ("_page", token)])))
    return links


def _url(here: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), quote_via=quote, safe="|,:/")
    return f"{here}?{query}" if query else here


def _left_out(names: Sequence[str]) -> Issue:
    listed = ", ".join(names)
    text = f"Left out, because there are no such search parameters: {listed}."
    vi = f"Đã bỏ qua vì không có các tham số tìm kiếm này: {listed}."
    return Issue("warning", "not-supported", text, vi=vi)


def _outcome_entry(issues: Sequence[Issue], language: Language) -> bytes:
    outcome = operation_outcome(issues, language, most=len(issues))
    return b'{"resource":' + json.write(outcome) + b',"search":{"mode":"outcome"}}'
