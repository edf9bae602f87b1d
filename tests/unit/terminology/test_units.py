"""What UCUM codes mean, and conversions: https://ucum.org/ucum."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.terminology.units import CODE_CHARS_MAX, DIGITS, Unit, converted, unit

CONVERSIONS = [
    # laboratory
    ("5.4", "mg/dL", "54", "mg/L"),
    ("5.4", "mg/dL", "0.054", "g/L"),
    ("13.5", "g/dL", "135", "g/L"),
    ("1", "g%", "10", "g/L"),
    ("5.4", "mmol/L", "5400", "umol/L"),
    ("5.4", "mmol/L", "0.0054", "mol/L"),
    ("140", "meq/L", "0.14", "eq/L"),
    ("7.2", "10*3/uL", "7.2", "10*9/L"),
    ("7.2", "10*3/uL", "7200", "/uL"),
    ("4.8", "10*6/mm3", "4.8", "10*12/L"),
    ("12", "m[IU]/mL", "12", "[IU]/L"),
    ("12", "u[IU]/mL", "12", "m[iU]/L"),
    ("60", "U/L", "1", "ukat/L"),
    ("42", "%", "0.42", "1"),
    ("42", "%", "420", "[ppth]"),
    ("6.5", "mg/g", "0.65", "%"),
    ("5", "[arb'U]/mL", "5000", "[arb'U]/L"),
    # vital signs
    ("120", "mm[Hg]", "15.99864", "kPa"),
    ("10", "cm[H2O]", "0.980665", "kPa"),
    ("72", "{beats}/min", "72", "/min"),
    ("72", "/min", "1.2", "Hz"),
    ("154", "[lb_av]", "69.85322498", "kg"),
    ("1", "[oz_av]", "28.349523125", "g"),
    ("70", "[in_i]", "177.8", "cm"),
    ("6", "[ft_i]", "72", "[in_i]"),
    ("22.5", "kg/m2", "0.00225", "kg/cm2"),
    ("90", "mL/min/{1.73_m2}", "5.4", "L/h"),
    ("1.73", "m2", "17300", "cm2"),
    ("37", "Cel", "98.6", "[degF]"),
    ("98.6", "[degF]", "37", "Cel"),
    ("-40", "[degF]", "-40", "Cel"),
    ("37", "Cel", "310.15", "K"),
    ("310.15", "K", "37", "Cel"),
    ("37000", "mCel", "37", "Cel"),
    ("80", "[degRe]", "100", "Cel"),
    # time
    ("1", "a", "365.25", "d"),
    ("1", "a", "12", "mo"),
    ("2", "wk", "14", "d"),
    ("1", "d", "1440", "min"),
    ("1.5", "h", "5400", "s"),
    ("0.12", "s", "120", "ms"),
    # signals, energy, angles, and what the library's own figures get wrong
    ("150", "uV", "0.15", "mV"),
    ("30", "dB", "3", "B"),
    ("250", "[Cal]", "250", "kcal"),
    ("1", "kcal", "4.184", "kJ"),
    ("1", "deg", "60", "'"),
    ("1", "'", "60", "''"),
    ("360", "deg", "400", "gon"),
    ("1", "G", "0.0001", "T"),
    ("1", "[cft_i]", "1728", "[cin_i]"),
    ("1", "[rd_br]", "16.5", "[ft_br]"),
    # the grammar
    ("6", "/m/s", "6", "m-1.s-1"),
    ("6", "(/m/s)", "6", "m-1/s"),
    ("6", "mg/(8.h)", "0.75", "mg/h"),
    ("6", "10.L/min", "60", "L/min"),
    ("6", "10^3", "6000", "{cells}"),
    ("6", "100{WBC}", "600", "1"),
    ("6", "m+2", "6", "m2"),
    ("6", "1.5", "30", "1"),  # a point is a product, never a decimal point
    ("6", "dag", "60", "g"),
    ("6", "dar", "0.6", "ar"),
]


@pytest.mark.parametrize(("value", "of", "answer", "to"), CONVERSIONS)
def test_conversions_are_exact(value: str, of: str, answer: str, to: str) -> None:
    assert converted(Decimal(value), _unit(of), _unit(to)) == Decimal(answer)


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ("mmol/L", "/L"),  # by the letter of UCUM these two could be converted
        ("mmol/L", "mg/dL"),
        ("mmol/L", "meq/L"),  # 1 mmol/L of calcium is 2 meq/L
        ("mosm/kg", "mmol/kg"),
        ("mol", "1"),
        ("[IU]/L", "U/L"),
        ("[IU]/L", "/L"),
        ("[IU]", "[arb'U]"),
        ("[CFU]/mL", "[PFU]/mL"),
        ("/[HPF]", "/[LPF]"),
        ("[NTU]", "[FNU]"),
        ("[pH]", "mol/L"),
        ("[pH]", "1"),
        ("dB", "Np"),
        ("dB", "1"),
        ("B[W]", "W"),
        ("kg", "m"),
        ("kg", "kg/m2"),
        ("%", "%[slope]"),
    ],
)
def test_what_cannot_be_converted(of: str, to: str) -> None:
    assert converted(Decimal(1), _unit(of), _unit(to)) is None


@pytest.mark.parametrize(
    "code",
    [
        *("", " ", "mg/dl ", " mg", "mg dL", "MG/DL", "mmHg", "lbs", "bpm", "°C", "µg/L", "Torr"),
        *("mg/", "mg//dL", "/", "//m", ".m", "m.", "()", "(m", "m)", "{", "}", "{a}}", "{lần}/min"),
        *("m0", "0", "01", "1,5", "10+3", "k%", "kmin", "m{a}2", "mk", "da", "[IU", "IU]"),
        *("Cel/min", "/Cel", "Cel2", "dB/m", "2.[pH]"),  # special units take no part in products
        *("\0", "\ud800", "m\n", "m\r", "𝟙", "١"),
    ],
)
def test_no_unit(code: str) -> None:
    assert unit(code) is None


def test_a_unit_is_written_in_base_units() -> None:
    assert unit("mg/dL") == Unit("g.m-3", Fraction(10))
    assert unit("mmol/L") == Unit("m-3.mol", Fraction(1))
    assert unit("k[IU]/L") == Unit("[iU].m-3", Fraction(10**6))
    assert unit("{beats}") == unit("1") == unit("L/dm3") == Unit("1", Fraction(1))
    assert unit("Cel") == Unit("K", Fraction(1), Fraction("273.15"))


def test_only_what_does_not_end_is_rounded() -> None:
    third = converted(Decimal(1), _unit("min"), _unit("h"))
    assert third == Decimal("0.01" + "6" * (DIGITS - 2) + "7")
    long = Decimal("1." + "1" * (DIGITS - 1))
    assert converted(long, _unit("mg"), _unit("g")) == Decimal("0.001" + "1" * (DIGITS - 1))


@pytest.mark.parametrize("value", ["1e999999", "-1e-999999", "NaN", "sNaN", "Infinity", "0"])
def test_any_number_can_be_asked_for(value: str) -> None:
    for to in ("[degF]", "K"):
        answer = converted(Decimal(value), _unit("Cel"), _unit(to))
        assert answer is None or answer.is_finite()


def _examples() -> list[str]:
    text = files("ucumvert").joinpath("vendor/ucum_examples.tsv").read_text("utf-8")
    return [line.split("\t")[1] for line in text.splitlines()[1:]]


def test_the_examples_of_the_standard() -> None:
    """Torr is among them, but not in the table of units."""
    codes = _examples()
    assert len(codes) > 800
    assert [code for code in codes if unit(code) is None] == ["Torr"]
    for code in codes:
        if found := unit(code):
            assert unit(found.dimension) == Unit(found.dimension, Fraction(1))


@pytest.mark.parametrize(
    "code",
    [
        *("10*999999999", "10*-999999999", "Ym99", "/Ym99", "u9/" * 15 + "u", "9" * 99),
        *("(" * 49 + "m" + ")" * 49, "(/" * 33 + "m" + ")" * 33, "(" * 99, "/" * 99),
        *("m/" * 49 + "m", "1.1" * 33, "{" * 99, "{}" * 49, "m{}." * 24 + "m", "m" * 99),
        *("m" * (CODE_CHARS_MAX + 1), "m" * 10**7, "(" * 10**6, "{" * 10**6),
    ],
)
def test_hostile_codes_are_refused_soon(code: str) -> None:
    unit("m")
    start = perf_counter()
    assert unit(code) is None or len(code) <= CODE_CHARS_MAX
    assert perf_counter() - start < 0.5


def test_an_exponent_of_any_length() -> None:
    assert unit("m" + "9" * 98) == Unit("m" + "9" * 98, Fraction(1))


def test_threads_may_ask_at_once() -> None:
    codes = [f"{number}.mg/dL" for number in range(1, 400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(unit, codes))
    assert found == [Unit("g.m-3", Fraction(10 * number)) for number in range(1, 400)]


def test_the_library_is_imported_by_the_first_question() -> None:
    script = """import sys
from ehr_server.terminology.units import unit
assert not {"ucumvert", "pint", "lark"} & set(sys.modules)
assert unit("mg/dL")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


_ATOMS = ["m", "g", "L", "s", "min", "mol", "[IU]", "Pa", "[lb_av]", "m[Hg]", "%", "10*", "deg"]
_POWERS = st.tuples(st.sampled_from(_ATOMS), st.integers(-3, 3).filter(bool))
_CODES = st.lists(_POWERS, min_size=1, max_size=5).map(
    lambda powers: ".".join(f"{atom}{power}" for atom, power in powers)
)
_VALUES = st.decimals(-(10**9), 10**9, places=6)


@st.composite
def _alike(draw: st.DrawFn) -> list[Unit]:
    """Three units of one dimension."""
    if draw(st.booleans()):
        return [_unit(code) for code in draw(st.permutations(["Cel", "[degF]", "K", "[degRe]"]))][
            :3
        ]
    whole = draw(_CODES)
    numbers = [draw(st.sampled_from(["1", "7", "10*3", "%", "2.[pi]", "h/d"])) for _ in range(3)]
    return [_unit(f"{number}.{whole}") for number in numbers]


@given(_VALUES, _alike())
def test_there_and_back(value: Decimal, units: list[Unit]) -> None:
    there = _converted(value, units[0], units[1])
    assert _near(_converted(there, units[1], units[0]), value)


@given(_VALUES, _alike())
def test_by_way_of_a_third(value: Decimal, units: list[Unit]) -> None:
    directly = _converted(value, units[0], units[2])
    by_way = _converted(_converted(value, units[0], units[1]), units[1], units[2])
    assert _near(directly, by_way)


@given(_CODES, _CODES)
def test_a_product_multiplies_and_a_quotient_divides(left: str, right: str) -> None:
    one, other = _unit(left), _unit(right)
    assert _unit(f"{left}.({right})").factor == one.factor * other.factor
    assert _unit(f"{left}/({right})").factor == one.factor / other.factor
    assert _unit(f"({left})/({left})") == _unit("1")


@given(_CODES, _CODES)
def test_convertible_means_that_the_quotient_is_a_number(left: str, right: str) -> None:
    answer = converted(Decimal(1), _unit(left), _unit(right))
    assert (answer is not None) == (_unit(f"{left}/({right})").dimension == "1")


@given(st.text(max_size=120) | st.text("m[]{}()./10*-%gLdas", max_size=CODE_CHARS_MAX))
def test_any_text_has_an_answer(code: str) -> None:
    if found := unit(code):
        assert found.factor > 0
        assert converted(Decimal(3), found, found) == 3


def _unit(code: str) -> Unit:
    found = unit(code)
    assert found is not None, code
    return found


def _converted(value: Decimal, of: Unit, to: Unit) -> Decimal:
    answer = converted(value, of, to)
    assert answer is not None
    return answer


def _near(one: Decimal, other: Decimal) -> bool:
    """Within the rounding of a few steps; near zero a scale of temperature loses digits."""
    return abs(one - other) <= max(abs(one), Decimal(1000)) * Decimal("1e-24")
