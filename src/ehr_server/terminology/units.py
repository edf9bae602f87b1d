"""Units of measure: what a UCUM code means, and a value converted from one unit into another.

https://ucum.org/ucum. The grammar and the official table of units come with the library `ucumvert`;
the arithmetic is ours, in fractions, so nothing is rounded before the last step. The library is
slow to import, so the first call of `unit` does it. Reasons, figures: docs/decisions/0007-units.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lark import Token, Tree

CODE_CHARS_MAX = 99  # the longest of UCUM's 848 examples has 20
CACHED_MAX = 4096
DIGITS = 50  # of a converted value: exact up to here, rounded beyond

# The parser's time grows with the parts: 25 ms for 33 of them, 7 ms at most for these.
_PARTS_MAX = 16
# Beyond this many bits (some 1,200 digits) a factor is an attack, such as `10*999999999`.
_BITS_MAX = 4096

# UCUM makes these bare numbers, by which 1 mmol/L would be 6.02214076 x 10^20 /L and 5 /[HPF] the
# same as 5. A mole is no count of cells; an equivalent or an osmole is a mole only if the charge or
# the dissociation of the substance is told; the others are what an instrument shows. So each is
# comparable with itself alone, as UCUM's own arbitrary units are.
_APART = frozenset(("mol", "eq", "osm", "[HPF]", "[LPF]", "[hnsf'U]", "[NTU]", "[FNU]"))

# The table names these functions without saying where on the scale of kelvin their zero lies.
_ZEROS = {
    "Cel": Fraction("273.15"),
    "degF": Fraction("459.67") * Fraction(5, 9),
    "degRe": Fraction("273.15"),
}

# Products and sums are exact, the division at the end rounds.
_EXACT = Context(prec=5000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_ROUNDED = Context(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class Unit:
    """A value v of the unit is v * factor + offset in the unit that `dimension` writes.

    The dimension is itself a UCUM code of base units in alphabetical order, such as `g.m-3`, or
    `1`. Two units can be converted into each other if and only if it is the same text.
    """

    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


def unit(code: str) -> Unit | None:
    """What a code such as `mg/dL` means; None if it is not one of UCUM (case counts), or is longer,
    deeper or larger than any that is meant. Raises nothing, whatever the text."""
    return _unit(code) if len(code) <= CODE_CHARS_MAX else None


def converted(value: Decimal, of: Unit, to: Unit) -> Decimal | None:
    """The value in another unit; None if the dimensions differ or the value is not finite.

    Exact if the answer fits into 50 digits, else rounded to 50, once.
    """
    if of.dimension != to.dimension or not value.is_finite():
        return None
    slope, shift = of.factor / to.factor, (of.offset - to.offset) / to.factor
    # Over one denominator: what is exact in the end must not pass through what is not.
    below = slope.denominator * shift.denominator
    scaled = _EXACT.multiply(value, Decimal(slope.numerator * shift.denominator))
    above = _EXACT.add(scaled, Decimal(shift.numerator * slope.denominator))
    answer = _ROUNDED.divide(above, Decimal(below))
    return answer if answer.is_finite() else None


@lru_cache(CACHED_MAX)
def _unit(code: str) -> Unit | None:
    from lark.exceptions import LarkError

    if sum(map(code.count, "./(")) >= _PARTS_MAX:
        return None
    with _LOCK:
        try:
            return _ucum().value(code).as_unit()
        except (LarkError, _NoUnit):
            return None


@cache
def _ucum() -> "_Ucum":
    return _Ucum()


class _NoUnit(Exception):
    """The text follows the grammar, but says nothing that UCUM allows."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A unit in the making: bases to exponents. A special one is on a scale with a zero of its
    own or a logarithmic one; UCUM lets it take a prefix, but no part in a product or power."""

    factor: Fraction
    bases: Mapping[str, int]
    offset: Fraction = Fraction(0)
    special: bool = False

    def times(self, other: "_Value", exponent: int = 1) -> "_Value":
        if self.special or other.special:
            raise _NoUnit
        raised = _power(other.factor, exponent)
        bases = dict(self.bases)
        for base, times in other.bases.items():
            bases[base] = bases.get(base, 0) + times * exponent
        return _Value(_bounded(self.factor * raised), bases)

    def scaled(self, number: Fraction) -> "_Value":
        return replace(self, factor=_bounded(self.factor * number))

    def as_unit(self) -> Unit:
        powers = sorted((base, times) for base, times in self.bases.items() if times)
        text = ".".join(base if times == 1 else f"{base}{times}" for base, times in powers)
        return Unit(text or "1", self.factor, self.offset)


_ONE = _Value(Fraction(1), {})


def _power(number: Fraction, exponent: int) -> Fraction:
    bits = max(number.numerator.bit_length(), number.denominator.bit_length())
    if bits > 1 and bits * abs(exponent) > _BITS_MAX:
        raise _NoUnit
    return number**exponent


def _bounded(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > _BITS_MAX:
        raise _NoUnit
    return number


@dataclass(frozen=True, slots=True)
class _Definition:
    """A row of UCUM's table: so many of another unit, perhaps through a function."""

    number: Fraction
    unit: str
    function: str | None
    is_arbitrary: bool


class _Ucum:
    """The grammar and the table, and the units read so far. Not for two threads at once."""

    def __init__(self) -> None:
        from ucumvert import get_ucum_parser
        from ucumvert.xml_util import root

        self._parser = get_ucum_parser()
        self._prefixes = {
            prefix.get("Code"): Fraction(prefix.find("{*}value").get("value"))
            for prefix in root.iterfind("{*}prefix")
        }
        self._definitions = {row.get("Code"): _definition(row) for row in root.iterfind("{*}unit")}
        self._atoms = {
            row.get("Code"): _Value(Fraction(1), {row.get("Code"): 1})
            for row in root.iterfind("{*}base-unit")
        }

    def value(self, code: str) -> _Value:
        """Raises `LarkError` for what the grammar refuses, `_NoUnit` for the rest."""
        # Operators are taken from left to right, `/m/s` is `1/m/s`; the library would take the
        # reciprocal of all that follows.
        text = ("1" + code if code.startswith("/") else code).replace("(/", "(1/")
        return self._read(self._parser.parse(text))

    def _read(self, node: "Tree[Token] | Token") -> _Value:
        if isinstance(node, str):  # an annotation by itself, `{cells}`, counts as 1
            return _ONE
        match node.data, node.children:
            case "term", [left, operator, right]:
                return self._read(left).times(self._read(right), -1 if operator == "/" else 1)
            case "annotatable", [atom, exponent]:
                if _is_number(atom):  # the library reads `10+3`; in UCUM it must be `10*3`
                    raise _NoUnit
                return _ONE.times(self._read(atom), int(str(exponent)))
            case "simple_unit", parts:
                return self._simple([str(part) for part in parts])
            case _, [inner, *_]:  # brackets, and what has an annotation
                return self._read(inner)
        raise _NoUnit

    def _simple(self, parts: list[str]) -> _Value:
        if len(parts) == 2:
            return self._atom(parts[1]).scaled(self._prefixes[parts[0]])
        if parts[0].isdigit():
            return _ONE.scaled(Fraction(parts[0]))
        return self._atom(parts[0])

    def _atom(self, code: str) -> _Value:
        if code not in self._atoms:
            self._atoms[code] = self._defined(code, self._definitions[code])
        return self._atoms[code]

    def _defined(self, code: str, definition: _Definition) -> _Value:
        itself = _Value(Fraction(1), {code: 1})
        if code in _APART or (definition.is_arbitrary and definition.unit == "1"):
            return itself
        if definition.function and definition.function not in _ZEROS:
            return replace(itself, special=True)
        value = self.value(definition.unit).scaled(definition.number)
        if definition.function:
            return replace(value, offset=_ZEROS[definition.function], special=True)
        return value


def _is_number(node: "Tree[Token] | Token") -> bool:
    return not isinstance(node, str) and str(node.children[0]).isdigit()


def _definition(row: "Element") -> _Definition:
    value = next(row.iterfind("{*}value"))
    source = next(value.iterfind("{*}function"), value)
    return _Definition(
        Fraction(source.attrib["value"]),
        source.attrib["Unit"],
        source.get("name"),
        row.get("isArbitrary") == "yes",
    )
