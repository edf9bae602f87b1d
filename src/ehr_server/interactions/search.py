"""search of a type, of the whole system, of a compartment.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ehr_server import sealing
from ehr_server.access.explain import explain
from ehr_server.access.find import Found, find, find_types
from ehr_server.access.include import Included, Reader, included
from ehr_server.access.restrict import searched
from ehr_server.call import Answer, Call
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid, NotFound
from ehr_server.interactions.searchset import searchset
from ehr_server.redact import without_numbers
from ehr_server.search import compartment
from ehr_server.search.parse import parse, parse_types
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules
from ehr_server.store.connect import Connection


def search(call: Call) -> Answer:
    """200 with a searchset; every fault of the parameters is named in the refusal."""
    rules = _rules(call)
    return _answer(call, [parse(call.parts["type"], call.request.query, rules)], rules)


def search_system(call: Call) -> Answer:
    """As `search`, of all types or those that `_type` names."""
    rules = _rules(call)
    types, pairs = _types(call.request.query, definitions().resource_types)
    return _answer(call, parse_types(types, pairs, rules), rules)


def search_compartment(call: Call) -> Answer:
    """As `search`, of what lies in a compartment: `Patient/1/Observation`, `Patient/1/*`.

    https://hl7.org/fhir/R4/compartmentdefinition.html
    """
    kind, id_, member = call.parts["type"], call.parts["id"], call.parts["member"]
    inside = compartment.members(kind)
    if not inside or (member != "*" and member not in inside):
        told = without_numbers(member)
        raise NotFound(
            f"There is no compartment of {kind} with {told} in it.",
            vi=f"Không có ngăn dữ liệu {kind} chứa {told}.",
        )
    rules = _rules(call)
    if member != "*":
        queries = [parse(member, call.request.query, rules)]
    else:
        types, pairs = _types(call.request.query, inside)
        queries = parse_types(types, pairs, rules)
    return _answer(call, [compartment.narrowed(one, kind, id_, rules) for one in queries], rules)


def _rules(call: Call) -> Rules:
    return replace(
        call.means.rules,
        base=call.base_url,
        lenient=call.request.preference("handling") == "lenient",
    )


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


def _answer(call: Call, queries: Sequence[Query], rules: Rules) -> Answer:
    """The page that the queries find, one for each type, and what comes along with it."""
    queries = [searched(one, call.caller) for one in queries]
    first = queries[0]
    with call.store.connection() as connection:
        reader = Reader(call.store, connection, call.caller, rules)

        def found() -> tuple[Found, Included]:
            page = _found(call, connection, queries)
            return page, included(reader, page.matches, first.includes)

        if first.is_explained:
            (page, further), told = explain(connection, first, call.caller, rules.zone, found)
        else:
            (page, further), told = found(), []
    return Answer(200, searchset(call, first, page, further, told), _handled(call))


def _handled(call: Call) -> dict[str, str]:
    """The header that says which `handling=` was followed: RFC 7240, 3."""
    handling = call.request.preference("handling")
    is_known = handling in ("lenient", "strict")
    return {"Preference-Applied": f"handling={handling}"} if is_known else {}


def _found(call: Call, connection: Connection, queries: Sequence[Query]) -> Found:
    store, key = call.store, call.store.secret(sealing.KEY)
    if len(queries) == 1:
        return find(store, connection, queries[0], call.caller, key)
    return find_types(store, connection, queries, call.caller, key)
