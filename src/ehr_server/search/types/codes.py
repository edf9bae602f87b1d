"""Sets of codes that a token search may name: a value set, or all above or below a code.

https://hl7.org/fhir/R4/search.html#modifiers. They are made when the query is parsed, from the code
lists that are loaded; what is not loaded is refused, for nothing found would be a wrong answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ehr_server.errors import Refusal
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter
from ehr_server.search.rules import Rules

CODES_MAX = 10_000

Pairs = Iterable[tuple[str, str]]  # system, code


@dataclass(frozen=True, slots=True)
class Codes:
    """Pairs of system and folded code."""

    pairs: frozenset[tuple[str, str]]

    def has(self, system: str, code: str) -> bool:
        """Whether a coding is one of them."""
        return (system, code) in self.pairs

    def has_plain(self, code: str, parameter: Parameter) -> bool:
        """Whether an element of type code is one of them."""
        return is_plain(parameter) and any(
            code == own and parameter.system in (None, system) for system, own in self.pairs
        )

    def stored_as(self, parameter: Parameter) -> Iterable[tuple[str | None, str]]:
        """As the index has them: an element of type code has no system beside it."""
        for system, code in sorted(self.pairs):
            if not is_plain(parameter):
                yield system, code
            elif parameter.system in (None, system):
                yield None, code


def is_plain(parameter: Parameter) -> bool:
    """Whether its codes have no system beside them: it is that of the binding, if there is one.

    Where codings may stand as well (an event of a MessageHeader), only these are in a set.
    """
    return all(type_name[0].islower() for type_name in parameter.types)


def members(canonical: str, rules: Rules) -> Codes:
    """The codes of a value set."""
    found: Pairs | None = None
    if rules.terminology is not None:
        try:
            found = [
                (group.concepts.system, group.concepts.codes[at])
                for group in rules.terminology.groups(canonical)
                for at in group.positions
            ]
        except Refusal:
            found = None
    return _checked(found, "a value set", "bộ giá trị")


def related(
    way: str, system: str | None, code: str | None, implied: str | None, rules: Rules
) -> Codes:
    """The codes above or below one, itself included."""
    system = system or implied
    if not system or code is None:
        raise Malformed(
            f"has the modifier :{way}, which needs system|code",
            f"có bổ ngữ :{way}, cần viết hệ|mã",
        )
    return _checked(_related(way, system, code, rules), "a code of a system", "mã của hệ mã")


def _related(way: str, system: str, code: str, rules: Rules) -> Pairs | None:
    try:
        concepts = rules.terminology.system(system) if rules.terminology else None
    except Refusal:
        return None
    if concepts is None or not concepts.has_subsumption:
        return None
    place = concepts.find(code)
    if place is None:
        return None
    found = concepts.above(place) if way == "above" else concepts.below(place)
    return [(concepts.system, concepts.codes[at]) for at in found]


def _checked(found: Pairs | None, what: str, vi: str) -> Codes:
    if found is None:
        raise Malformed(f"names {what} that is not loaded here", f"nêu {vi} chưa được nạp ở đây")
    pairs = frozenset((system, code.casefold()) for system, code in found)
    if len(pairs) > CODES_MAX:
        raise Malformed(f"stands for more than {CODES_MAX} codes", f"tương ứng hơn {CODES_MAX} mã")
    return Codes(pairs)
