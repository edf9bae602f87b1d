"""$lastn: the newest observations of a person, so many of each kind.

https://hl7.org/fhir/R4/observation-operation-lastn.html

The parameters are those of a search of Observations, and `max`. Grouped by code: "codes SHALL be
considered equivalent if the coding.value and coding.system are the same", text alone by its text,
and by way of an observation with several codings all of these are one ("the transitive property of
equality"). Those that tie with the last of a group come too; where nothing is asked of the status,
so do those entered in error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ehr_server import sealing
from ehr_server.access.newest import newest
from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid
from ehr_server.fhir import bundle, json
from ehr_server.operations.given import posted
from ehr_server.search.parse import PRESENTATION, parse
from ehr_server.search.private import shown
from ehr_server.search.query import Condition, SortKey
from ehr_server.search.results import is_result_parameter

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from ehr_server.access.newest import Dated
    from ehr_server.search.query import Query

LOOKED_AT_MAX = 50_000  # observations of one person that are grouped

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Observation-lastn"
_TYPE = "Observation"
_ABOUT_CODES = ("category", "code", "combo-code", "component-code")
_PERSON = ("patient", "subject")


def lastn(call: Call) -> Answer:
    """200 with a searchset: the newest of each group, group by group, those first of which the
    newest is newest.

    Raises `Invalid`, which names it, for what a search would refuse; without one patient, or
    without a category or code; for what shapes the pages of a search.
    """
    sent = _posted_pairs(call)
    pairs = [*call.request.query, *sent]
    most = _max([value for name, value in pairs if name == "max"])
    query = _query(call, [pair for pair in pairs if pair[0] != "max"])
    with call.store.connection() as connection:
        found = newest(call.store, connection, query, call.caller, LOOKED_AT_MAX + 1)
    if len(found) > LOOKED_AT_MAX:
        raise Invalid(
            f"More than {LOOKED_AT_MAX:,} observations are meant: name a code or a date too.",
            vi=f"Có hơn {LOOKED_AT_MAX:,} chỉ số: xin nêu thêm mã hoặc ngày.",
        )
    chosen = [one for group in grouped(found) for one in _last(group, most)]
    entries = [bundle.search_entry(call.base_url, content, "match") for _, content in chosen]
    here = f"{call.base_url}/{_TYPE}/$lastn"
    told = shown(
        [one for one in pairs if one[0] not in PRESENTATION and one not in query.ignored],
        {*query.private, *call.request.private, *sent},
        call.request.path,
        call.store.secret(sealing.KEY),
    )
    links = [("self", bundle.url(here, told))]
    return Answer(200, bundle.bundle("searchset", entries, links, len(chosen)))


def grouped(found: Sequence[Dated]) -> list[list[Dated]]:
    """The observations by what was observed, each group in the order given."""
    names = [_names(json.read_stored(content).get("code", {})) for _, content in found]
    of = _united(names)
    groups: dict[Hashable, list[Dated]] = {}
    for several, one in zip(names, found, strict=True):
        groups.setdefault(of[several[0]], []).append(one)
    return list(groups.values())


def _names(concept: dict[str, Any]) -> list[Hashable]:
    """Its codings, else its text; what has neither is a kind of its own."""
    codings = [
        (one.get("system"), one["code"]) for one in concept.get("coding", ()) if "code" in one
    ]
    return list(codings) or [concept.get("text")]


def _united(names: Iterable[Sequence[Hashable]]) -> dict[Hashable, Hashable]:
    """For each name the one that stands for all that are equal to it, by whatever way."""
    above: dict[Hashable, Hashable] = {}

    def top(name: Hashable) -> Hashable:
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name

    for several in names:
        for name in several:
            above.setdefault(name, name)
            above[top(name)] = top(several[0])
    return {name: top(name) for name in above}


def _last(group: Sequence[Dated], most: int) -> Sequence[Dated]:
    """So many of the newest; "in case of a tie both will be returned"."""
    if len(group) <= most:
        return group
    last = group[most - 1][0]
    end = most
    while last is not None and end < len(group) and group[end][0] == last:
        end += 1
    return group[:end]


def _posted_pairs(call: Call) -> list[tuple[str, str]]:
    """The parameters in the Parameters resource that was posted."""
    sent = posted(call)
    if sent is None:
        return []
    several = sent.get("parameter", [])
    if sent.get("resourceType") != "Parameters" or not isinstance(several, list):
        raise Invalid(
            "The body of this operation is a Parameters resource.",
            vi="Nội dung của thao tác này là một tài nguyên Parameters.",
        )
    return [_posted_pair(one) for one in several]


def _posted_pair(one: Any) -> tuple[str, str]:
    """A parameter of any primitive type is what it would be in an address."""
    values = (
        [value for key, value in one.items() if key.startswith("value")]
        if isinstance(one, dict)
        else []
    )
    name = one.get("name") if isinstance(one, dict) else None
    if not isinstance(name, str) or len(values) != 1 or not isinstance(values[0], str | int):
        raise Invalid(
            "A parameter of $lastn is an object with a name and a value of a primitive type.",
            vi="Mỗi tham số của $lastn là một đối tượng gồm name và một giá trị đơn.",
            expression=("Parameters.parameter",),
        )
    value = values[0]
    return name, str(value).lower() if isinstance(value, bool) else str(value)


def _max(sent: Sequence[str]) -> int:
    text = sent[0] if sent else "1"
    if len(sent) > 1 or not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 10**8):
        raise Invalid(
            "The parameter max must be one whole number above 0.",
            vi="Tham số max phải là một số nguyên dương.",
            expression=("max",),
        )
    return int(text)


def _query(call: Call, pairs: Sequence[tuple[str, str]]) -> Query:
    """The search. "The request SHALL include a subject ... a category parameter and/or a search
    parameter that contains a code element"."""
    shaping = [name for name, _ in pairs if is_result_parameter(name)]
    if shaping:
        raise Invalid(
            f"The parameter {shaping[0]} is for searches; $lastn has one order and one page.",
            vi=f"Tham số {shaping[0]} chỉ dùng khi tìm; $lastn trả lời một trang, một thứ tự.",
            expression=(shaping[0],),
        )
    is_lenient = call.request.preference("handling") == "lenient"
    rules = replace(call.means.rules, base=call.base_url, lenient=is_lenient)
    query = parse(_TYPE, pairs, rules)
    if not any(map(_is_one_person, query.criteria)):
        raise Invalid(
            "$lastn needs one patient: patient=ID, or subject=Patient/ID.",
            vi="$lastn cần đúng một người bệnh: patient=ID, hoặc subject=Patient/ID.",
            expression=("patient",),
        )
    if not any(_is_about_codes(name) for name, _ in query.asked):
        raise Invalid(
            "$lastn needs a category or a code: category=vital-signs, or code=http://loinc.org|718-7.",
            vi="$lastn cần nhóm hoặc mã: category=vital-signs, hoặc code=http://loinc.org|718-7.",
            expression=("category",),
        )
    main_date = rules.parameters.of(_TYPE).main_date
    return replace(query, order=(SortKey(main_date, True),) if main_date else ())


def _is_one_person(criterion: Any) -> bool:
    return (
        isinstance(criterion, Condition)
        and criterion.name.partition(":")[0] in _PERSON
        and len(criterion.terms) == 1
        and bool(getattr(criterion.terms[0], "patient", None))
    )


def _is_about_codes(name: str) -> bool:
    code = name.partition(":")[0]
    return code in _ABOUT_CODES or code.startswith(("code-value", "combo-code-value"))


ROUTES = (
    Route(_DEFINITION, "GET", "Observation/$lastn", lastn),
    Route(_DEFINITION, "POST", "Observation/$lastn", lastn),
)
