"""Are two records of one person? The levels at which they agree, the score, the grade.

https://hl7.org/fhir/R4/patient-operation-match.html. Weights are added up field by field as by
Fellegi and Sunter (`identity.weights`). Kin agree on much at once, which the sum of weights takes
for independent: so ceilings keep what agrees on all but the given name, or not on the number, from
a grade that it does not deserve, and only a live personal number makes certain by itself.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ehr_server.identity.kinds import PERSONAL
from ehr_server.identity.names import Agreement, Name, agreements, is_slip
from ehr_server.identity.traits import Person
from ehr_server.identity.weights import Weights

Grade = Literal["certain", "probable", "possible", "certainly-not"]

# The least score of each grade. https://hl7.org/fhir/R4/valueset-match-grade.html
LEAST: Mapping[Grade, float] = MappingProxyType(
    {"certain": 0.9999, "probable": 0.95, "possible": 0.2, "certainly-not": 0.0}
)
GRADES: tuple[Grade, ...] = tuple(LEAST)
_DECIMALS = 4
_STEP = 10**-_DECIMALS
_BITS_MAX = 60  # beyond which the odds are one or nothing in any case

Levels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Likeness:
    """`bits` are what all levels weigh together, `score` the probability of one person after the
    ceilings, with four decimals. `levels` has no field that one of the two lacks."""

    bits: float
    score: float
    grade: Grade
    levels: Levels

    @property
    def is_likely(self) -> bool:
        """Whether it is worth a human's look: probable or certain."""
        return self.grade in ("certain", "probable")


def compared(one: Person, other: Person, weights: Weights) -> Likeness:
    """How likely both are one person. The order of the two does not matter."""
    name = _best_names(one.names, other.names, weights)
    levels = _levels_of(name)
    bits = weights.prior + _bits_of(name, weights)
    for field, level in _others(one, other):
        levels[field] = level
        bits += weights.bits(field, level)
    score = _score(bits, levels)
    return Likeness(bits, score, grade_of(score), MappingProxyType(levels))


def grade_of(score: float) -> Grade:
    """The grade of a score from 0 to 1."""
    return next(grade for grade in GRADES if score >= LEAST[grade])


def is_kept_apart(levels: Levels) -> bool:
    """Whether no weight makes these levels those of one person: kin, and namesakes."""
    return GRADES.index(_bounds(levels)[1]) >= GRADES.index("possible")


def levels_of(one: Person, other: Person, weights: Weights) -> Levels:
    """The levels alone, of the two names that agree best by the weights."""
    name = _best_names(one.names, other.names, weights)
    return {**_levels_of(name), **dict(_others(one, other))}


def _levels_of(name: Iterable[Agreement]) -> dict[str, str]:
    return {agreement.role: agreement.level for agreement in name}


def _score(bits: float, levels: Levels) -> float:
    odds = math.pow(2, max(-_BITS_MAX, min(_BITS_MAX, bits)))
    score = round(odds / (1 + odds), _DECIMALS)
    least, most = _bounds(levels)
    return min(max(score, LEAST[least]), _top(most))


def _bounds(levels: Levels) -> tuple[Grade, Grade]:
    """The lowest and the highest grade that the levels allow."""
    if levels.get("number") == "same":
        grade = _with_number(levels)
        return grade, grade
    has_card = levels.get("number") in ("card", "local")
    is_born_otherwise = levels.get("birth") in ("year", "other")
    if levels.get("given") == "other":  # kin share all the rest: twins the birth date too
        is_kin = is_born_otherwise and not has_card
        return "certainly-not", "certainly-not" if is_kin else "possible"
    if is_born_otherwise and not has_card and not _is_of_same_house(levels):
        return "certainly-not", "possible"  # a namesake
    if levels.get("number") == "other" and not _is_same_on_paper(levels):
        return "certainly-not", "possible"  # so too
    return "certainly-not", "certain" if _is_whole(levels) else "probable"


def _with_number(levels: Levels) -> Grade:
    """Of a live number that both hold: certain, unless it is a mother's, given for her child."""
    if levels.get("given") != "other" or levels.get("birth") != "other":
        return "certain"
    return "possible" if levels.get("sex") == "other" else "probable"


def _is_of_same_house(levels: Levels) -> bool:
    """Whether a telephone number or the mother is the same, and the year of birth, so that it is
    not the grandfather whose name a child has."""
    is_near = levels.get("phone") == "same" or levels.get("mother") == "same"
    return is_near and levels.get("birth") == "year"


def _is_whole(levels: Levels) -> bool:
    """Whether name and birth date agree in full, something of the person's own does, and no number
    speaks against it. A ward is too large: in one of 30,000 people there is a Nguyễn Văn Nam of the
    same day for 7 of 10,000 who ask.
    """
    return (
        _is_same_on_paper(levels)
        and levels.get("number") not in ("other", "slip")
        and (
            levels.get("address") == "line"
            or levels.get("phone") == "same"
            or levels.get("mother") == "same"
            or levels.get("number") in ("card", "local")
        )
    )


def _is_same_on_paper(levels: Levels) -> bool:
    """Whether the name and the birth date agree in full, and not another sex."""
    return (
        "given" in levels
        and all(levels.get(role, "same") == "same" for role in ("family", "middle", "given"))
        and levels.get("birth") == "same"
        and levels.get("sex") != "other"
    )


def _top(grade: Grade) -> float:
    """The highest score of a grade."""
    at = GRADES.index(grade)
    return 1.0 if at == 0 else round(LEAST[GRADES[at - 1]] - _STEP, _DECIMALS)


def _bits_of(name: tuple[Agreement, ...], weights: Weights) -> float:
    return sum(weights.bits(one.role, one.level, one.words) for one in name)


def _best_names(
    some: tuple[Name, ...], others: tuple[Name, ...], weights: Weights
) -> tuple[Agreement, ...]:
    pairs = [agreements(one, other) for one in some for other in others]
    if len(pairs) < 2:
        return pairs[0] if pairs else ()
    return max(pairs, key=lambda pair: (_bits_of(pair, weights), [one.level for one in pair]))


def _others(one: Person, other: Person) -> Iterator[tuple[str, str]]:
    """The level of each further field that both have."""
    if one.birth and other.birth:
        yield "birth", birth_level(one, other)
    if one.sex and other.sex:
        yield "sex", "same" if one.sex == other.sex else "other"
    address = _address(one, other)
    if address:
        yield "address", address
    if one.phones and other.phones:
        yield "phone", "same" if one.phones & other.phones else "other"
    if one.mothers and other.mothers:
        yield "mother", _mother(one.mothers, other.mothers)
    number = _number(one, other)
    if number:
        yield "number", number


def has_number_of(one: Person, other: Person) -> bool:
    """Whether any number of the two is the same, in force or not, of a person or a facility."""
    return _number(one, other) in ("same", "card", "local")


def birth_level(one: Person, other: Person) -> str:
    """How two birth dates agree; of those known to the year alone, and of the first of January,
    that stands for such, no more than the year counts."""
    first, second = sorted((one.birth, other.birth), key=lambda date: (len(date), date))
    if one.day and one.birth == other.birth:
        return "same"
    if one.year == other.year:
        if not (one.day and other.day):
            return "partial" if second.startswith(first) else "year"
        if first[5:7] == second[8:10] and first[8:10] == second[5:7]:
            return "swapped"
    if one.day and other.day and is_slip(first.replace("-", ""), second.replace("-", "")):
        return "digit"
    if one.year == other.year:
        return "partial" if one.is_day_assumed or other.is_day_assumed else "year"
    return "other"


def _address(one: Person, other: Person) -> str:
    if one.wards and other.wards:
        if one.wards & other.wards:
            return "line" if one.lines & other.lines else "ward"
    elif one.lines and other.lines and one.lines & other.lines:
        return "line"
    elif not (one.provinces and other.provinces):
        return ""
    return "province" if one.provinces & other.provinces else "other"


def _mother(some: tuple[Name, ...], others: tuple[Name, ...]) -> str:
    found = "other"
    for one in some:
        for other in others:
            if sorted(one.words) == sorted(other.words) or one.joined == other.joined:
                return "same"
            if all(
                each.level in ("same", "tones", "close", "lost") for each in agreements(one, other)
            ):
                found = "close"
    return found


def _number(one: Person, other: Person) -> str:
    """How the numbers of two records agree; "" where they have none to compare."""
    if any(a.is_same(b) for a in one.single for b in other.single):
        return "same"
    if one.numbers & other.numbers:
        return "card"
    first = _personal(one)
    second = _personal(other)
    if first and second:
        is_close = any(is_slip(a, b) for a in first for b in second)
        return "slip" if is_close else "other"
    return "local" if one.local & other.local else ""


def _personal(one: Person) -> list[str]:
    return [single.number[1] for single in one.single if single.number[0] == PERSONAL]
