"""A query in plain words: what was understood, for people who wonder what a search does.

https://hl7.org/fhir/R4/search.html. A tree of lines, each level set in by two spaces.
"""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from ehr_server.redact import id_without_number, without_numbers
from ehr_server.search import sort
from ehr_server.search.parameter import Source
from ehr_server.search.private import struck
from ehr_server.search.query import (
    At,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disclosable,
    Disjunction,
    Has,
    Include,
    Missing,
    Negation,
    Query,
    SortKey,
)
from ehr_server.search.sort import Stage
from ehr_server.search.told_terms import told_term

_WAYS = {
    "date": ("earliest first", "latest first"),
    "string": ("from A to Z", "from Z to A"),
}
_BY_SIZE = ("smallest first", "largest first")
_TOTALS = {
    "none": "not told",
    "bounded": "told if it is cheap to count",
    "estimate": "counted if that is cheap, else estimated from the database's statistics",
    "accurate": "counted, however long that takes",
}
_CONTENTS = {
    None: "all of each resource",
    "true": "the elements of the summary",
    "text": "the narrative, and what is mandatory",
    "data": "everything but the narrative",
}


def told(query: Query, zone: tzinfo) -> list[str]:
    """The lines; times are shown in the zone."""
    return [
        *_criteria(query, zone),
        *_order(query),
        _page(query),
        f"Total: {_TOTALS[query.total]}",
        *(f"Along comes: {_include(one)}" for one in query.includes),
        f"Shown: {_contents(query)}",
        *(
            f"Left out, for there is no such parameter: {without_numbers(name)}"
            for name, _ in query.ignored
        ),
    ]


def _criteria(query: Query, zone: tzinfo) -> Iterator[str]:
    """Each as it was sent, then as it was understood, but for numbers that may be somebody's;
    access may have added further ones."""
    head = f"{query.type} for which all of this holds:"
    yield head if query.criteria or query.compartment is not None else f"{query.type}, all there is"
    added = [("added for this caller", "")] * (len(query.criteria) - len(query.asked))
    for pair, criterion in zip([*query.asked, *added], query.criteria, strict=False):
        text = "=".join(pair) if pair in query.asked else pair[0]
        lines = [f"  {text}", *_in(_in(_criterion(criterion, zone)))]
        if pair in query.private:
            lines = [without_numbers(struck(line, pair[1])) for line in lines]
        yield from lines
    if query.compartment is not None:
        patients = " or ".join(f"Patient/{id_without_number(id_)}" for id_ in query.compartment)
        yield f"  in the compartment of {patients or 'nobody'}"


def _criterion(criterion: Criterion, zone: tzinfo) -> list[str]:
    match criterion:
        case Condition():
            return _condition(criterion, zone)
        case Missing():
            has = "has no value" if criterion.is_missing else "has a value"
            return [f"{' or '.join(map(_source, criterion.sources))} {has}"]
        case Negation():
            return _under("not so, or without a value:", [criterion.criterion], zone)
        case Conjunction():
            return _under("all of:", criterion.criteria, zone)
        case Disjunction():
            return _under("one at least of:", criterion.criteria, zone)
        case Chain():
            link = f"{criterion.source.parameter.code} refers to {_a(criterion.type)} for which"
            return _under(f"{link}:", [criterion.criterion], zone)
        case Has():
            link = f"{_a(criterion.type)} refers to it as {criterion.source.parameter.code}"
            return _under(f"{link}, for which:", [criterion.criterion], zone)
        case At():
            return [f"at one of {len(criterion.places)} places"]
        case Disclosable():
            return ["which consents and labels leave to this caller"]


def _source(source: Source) -> str:
    code = source.parameter.code
    return code if source.bit is None else f"{code} to {' or '.join(source.targets)}"


def _condition(condition: Condition, zone: tzinfo) -> list[str]:
    """A line; of several alternatives one each."""
    lines = []
    for one in condition.alternatives:
        own = one.parameter.code
        is_own = own == condition.name or one.parameter.type == "composite"
        label = condition.name if is_own else f"{condition.name} (here: {own})"
        lines.append(f"{label} {told_term(one.term, one.parameter, zone)}")
    return lines if len(lines) == 1 else ["one at least of:", *_in(lines)]


def _under(head: str, criteria: Sequence[Criterion], zone: tzinfo) -> list[str]:
    return [head, *_in(line for one in criteria for line in _criterion(one, zone))]


def _a(type_name: str) -> str:
    return f"{'an' if type_name[0] in 'AEIO' else 'a'} {type_name}"


def _in(lines: Iterator[str] | Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _order(query: Query) -> Iterator[str]:
    keys = "; ".join(map(_key, query.order)) or "what was stored last comes first"
    yield f"Order: {keys}{'' if query.is_sorted else ' (the usual one, as _sort is not there)'}"
    stages = sort.stages(query)
    if len(stages) > 1:
        code = query.order[0].parameter.code
        begins = "" if query.is_sorted or not stages[0].lead else " that begins with all of it"
        yield f"  first those that have {code}{begins}; of many, read by {_lead(stages[0])}"
        yield f"  then those without; of many, read by {_lead(stages[1])}"
    else:
        yield f"  of many, read by {_lead(stages[0])}"


def _key(key: SortKey) -> str:
    ways = _WAYS.get(key.parameter.type, _BY_SIZE)
    return f"{key.parameter.code}, {ways[key.descending]}"


def _lead(stage: Stage) -> str:
    """The index that leads: of a side table, or of a column of the narrow row."""
    if stage.lead:
        return f"the rows of the table {stage.lead}"
    first = stage.columns[0].text if stage.columns else stage.key
    return first if first.startswith("r.") else "the further keys"


def _page(query: Query) -> str:
    if query.count == 0:
        return "Page: none, the total alone"
    begin = "" if query.page is None else ", from the place that _page names"
    return f"Page: at most {query.count}{begin}"


def _include(one: Include) -> str:
    code = " or ".join(source.parameter.code for source in one.sources) or "any reference"
    type_name = one.type or "any type"
    if one.is_reverse:
        found = f"{type_name} that refers to what is found by {code}"
    else:
        found = f"what {code} of {type_name} refers to"
    found += f", if it is {_a(one.target)}" if one.target else ""
    return f"{found}; the same again from what came along" if one.iterate else found


def _contents(query: Query) -> str:
    wanted = query.subset
    if wanted is None or wanted.mode != "elements":
        return _CONTENTS[wanted.mode if wanted else None]
    names = ", ".join(f"{of}.{name}" if of else name for of, name in wanted.elements)
    return f"{names}, and what is mandatory"
