"""search of a type, of the whole system, of a compartment.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from ehr_server.access.find import Found, find, find_types
from ehr_server.call import Answer, Call
from ehr_server.definitions import definitions
from ehr_server.definitions.subset import subset
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir import bundle, json
from ehr_server.fhir.outcome import Language, operation_outcome
from ehr_server.issue import Issue
from ehr_server.search import compartment
from ehr_server.search.parse import HARMLESS, parse, parse_types
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules

PAGE_KEY = "page_key"


def search(call: Call) -> Answer:
    """200 with a searchset; every fault of the parameters is named in the refusal."""
    query = parse(call.parts["type"], call.request.query, _rules(call))
    with call.store.connection() as connection:
        found = find(call.store, connection, query, call.caller, call.store.secret(PAGE_KEY))
    return Answer(200, _searchset(call, query, found))


def search_system(call: Call) -> Answer:
    """As `search`, of all types or those that `_type` names."""
    types, pairs = _types(call.request.query, definitions().resource_types)
    return _search_types(call, parse_types(types, pairs, _rules(call)))


def search_compartment(call: Call) -> Answer:
    """As `search`, of what lies in a compartment: `Patient/1/Observation`, `Patient/1/*`.

    https://hl7.org/fhir/R4/compartmentdefinition.html
    """
    kind, id_, member = call.parts["type"], call.parts["id"], call.parts["member"]
    inside = compartment.members(kind)
    if not inside or (member != "*" and member not in inside):
        raise NotFound(
            f"There is no compartment of {kind} with {member} in it.",
            vi=f"Không có ngăn dữ liệu {kind} chứa {member}.",
        )
    rules, asked = _rules(call), call.request.query
    if member != "*":
        query = compartment.narrowed(parse(member, asked, rules), kind, id_, rules)
        with call.store.connection() as connection:
            found = find(call.store, connection, query, call.caller, call.store.secret(PAGE_KEY))
        return Answer(200, _searchset(call, query, found))
    types, pairs = _types(asked, inside)
    queries = parse_types(types, pairs, rules)
    return _search_types(call, [compartment.narrowed(one, kind, id_, rules) for one in queries])


def _rules(call: Call) -> Rules:
    return replace(
        call.means.rules,
        base=call.base_url,
        lenient=call.request.preference("handling") == "lenient",
    )


def _search_types(call: Call, queries: Sequence[Query]) -> Answer:
    with call.store.connection() as connection:
        found = find_types(
            call.store, connection, queries, call.caller, call.store.secret(PAGE_KEY)
        )
    return Answer(200, _searchset(call, queries[0], found))


def _types(
    asked: Iterable[tuple[str, str]], every: Sequence[str]
) -> tuple[Sequence[str], list[tuple[str, str]]]:
    """The types that `_type` names, all if there is none; and the other parameters."""
    names = [name for key, value in asked if key == "_type" for name in value.split(",")]
    unknown = [name for name in names if name not in every]
    if unknown:
        raise Invalid(
            "The search parameter _type names a type that cannot be searched here.",
            vi="Tham số tìm kiếm _type nêu loại không thể tìm ở đây.",
        )
    rest = [pair for pair in asked if pair[0] != "_type"]
    return list(dict.fromkeys(names)) or every, rest


def _searchset(call: Call, query: Query, found: Found) -> bytes:
    contents = (_wanted(match.content, query) for match in found.matches)
    entries = [bundle.search_entry(call.base_url, content, "match") for content in contents]
    if query.ignored:
        entries.append(_left_out(query.ignored, call.language))
    return bundle.bundle("searchset", entries, _links(call, query, found), found.total)


def _wanted(content: bytes, query: Query) -> bytes:
    """As much of the content as is wanted: all of it costs nothing."""
    if query.subset is None:
        return content
    return json.write(subset(json.read_stored(content), query.subset))


def _links(call: Call, query: Query, found: Found) -> Sequence[bundle.Link]:
    """self shows what was searched really; the others lead to the pages around this one."""
    here = "/".join((call.base_url, *call.request.path)).removesuffix("/_search")
    asked = [
        pair
        for pair in call.request.query
        if pair[0] not in query.ignored and pair[0] not in HARMLESS
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


def _left_out(names: Sequence[str], language: Language) -> bytes:
    listed = ", ".join(names)
    text = f"Left out, because there are no such search parameters: {listed}."
    vi = f"Đã bỏ qua vì không có các tham số tìm kiếm này: {listed}."
    outcome = operation_outcome([Issue("warning", "not-supported", text, vi=vi)], language)
    return b'{"resource":' + json.write(outcome) + b',"search":{"mode":"outcome"}}'
