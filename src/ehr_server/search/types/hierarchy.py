"""What lies above or below in a hierarchy: `Encounter?location:below=Location/hospital`.

https://hl7.org/fhir/R4/search.html#reference: where resources of one type are parts of others of
it, the modifiers :above and :below search all the way up or down, the one named included.
"""

from dataclasses import dataclass

from ehr_server.definitions import definitions
from ehr_server.hashing import hash64, own_comp
from ehr_server.layout import OTHER, leaf
from ehr_server.search.facts import LOOKED_UP_MAX, Lookup
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql

_PART_OF = ("partof", "part-of")


@dataclass(frozen=True, slots=True)
class Kin:
    """A resource and all that are above or below it, by the `link` of their type."""

    type: str
    id: str
    way: str
    link: Parameter


def kin(type_name: str, id_: str, way: str, rules: Rules) -> Kin:
    """Raises `Malformed` where resources of the type are not parts of one another."""
    for code in _PART_OF:
        for source in rules.parameters.of(type_name).by_code.get(code, ()):
            if _is_hierarchy(source, type_name):
                return Kin(type_name, id_, way, source.parameter)
    raise Malformed(
        f"has the modifier :{way}, and {type_name} is no part of another {type_name}",
        f"có bổ ngữ :{way}, nhưng {type_name} không thuộc {type_name} khác",
    )


def lookup(about: object, term: Kin) -> Lookup:
    """The `own` hashes of all that are meant, followed step by step; a ring ends by itself."""
    rows = f"resource_{leaf(term.type)}"
    number = definitions().type_number[term.type]
    of_type = f" and r.type = {number}" if leaf(term.type) == OTHER else ""
    mark = hash64("reference", term.link.name)
    if term.way == "below":
        step = f"select r.own from kin k join {rows} r on r.refs @> array[k.own # {mark}]{of_type}"
    else:
        step = (
            f"select o.own from kin k join {rows} r on r.own = k.own{of_type}"
            f" cross join unnest(r.refs) ref join {rows} o on o.own = ref # {mark}"
        )
    return Lookup(
        about,
        Sql(
            "with recursive kin (own) as"
            f" (select %s::bigint union {step}) select own from kin limit {LOOKED_UP_MAX + 1}",
            (own_comp(term.type, term.id),),
        ),
    )


def _is_hierarchy(source: Source, type_name: str) -> bool:
    return source.parameter.type == "reference" and source.targets == (type_name,)
