"""Places within a distance of a point: `near=latitude|longitude|distance|unit`.

https://hl7.org/fhir/R4/location.html#positional. A position lies among the quantities: the
latitude as the value, the longitude beside it, in ten-millionths of a degree (about a centimetre).
Distances are those on a sphere, which are wrong by half a percent at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import asin, cos, degrees, radians, sin, sqrt
from typing import Any

from ehr_server.search.escapes import split, unescape
from ehr_server.search.facts import Facts
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, any_of, beside
from ehr_server.search.types.number import as_float
from ehr_server.terminology.units import converted, unit

MODIFIERS: frozenset[str] = frozenset()

EARTH_KM = 6371.0088
DISTANCE_KM = Decimal(10)  # where none is said
_SCALE = 10_000_000


@dataclass(frozen=True, slots=True)
class Circle:
    """A point in degrees, and a distance from it."""

    latitude: float
    longitude: float
    km: float


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """The position of a Location."""
    own = parameter.number

    def take(value: Any, rows: Rows) -> None:
        if point := _point(value):
            latitude, longitude = point
            rows.quantities.append((own, latitude, 0, round(longitude * _SCALE), 0))

    return take if type_name == "Location.position" else None


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Circle:
    """Two degrees, then perhaps a distance and its unit, by default kilometres."""
    parts = [unescape(part) for part in split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise _malformed()
    try:
        latitude, longitude = float(Decimal(parts[0])), float(Decimal(parts[1]))
        distance = Decimal(parts[2]) if len(parts) > 2 and parts[2] else DISTANCE_KM
    except ArithmeticError:
        raise _malformed() from None
    km = _in_km(distance, parts[3] if len(parts) > 3 and parts[3] else "km")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and 0 <= km < float("inf")):
        raise _malformed()
    return Circle(latitude, longitude, km)


def where(terms: Sequence[Circle], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """A position lies in one of the circles: within its latitudes, which the index knows, and
    near enough."""
    return beside(row, "quantity", parameter.number, any_of(map(_inside, terms)))


def matches(term: Circle, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether a position lies in the circle."""
    point = _point(value)
    return point is not None and _distance_km(term, *point) <= term.km


def _point(value: Any) -> tuple[float, float] | None:
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if latitude is None or longitude is None:
        return None
    found = as_float(latitude), round(as_float(longitude) * _SCALE) / _SCALE
    return found if abs(found[0]) <= 90 and abs(found[1]) <= 360 else None


def _inside(term: Circle) -> Sql:
    room = degrees(term.km / EARTH_KM) + 1e-9
    return Sql(
        "(x.value between %s and %s and"
        f" 2 * {EARTH_KM} * asin(least(1, sqrt("
        " sin(radians(x.value - %s) / 2) ^ 2 + cos(radians(%s)) * cos(radians(x.value))"
        f" * sin(radians(x.beside / {_SCALE}.0::float8 - %s) / 2) ^ 2))) <= %s)",
        (
            term.latitude - room,
            term.latitude + room,
            term.latitude,
            term.latitude,
            term.longitude,
            term.km,
        ),
    )


def _distance_km(term: Circle, latitude: float, longitude: float) -> float:
    """https://en.wikipedia.org/wiki/Haversine_formula"""
    up = sin(radians(latitude - term.latitude) / 2) ** 2
    along = sin(radians(longitude - term.longitude) / 2) ** 2
    flat = cos(radians(term.latitude)) * cos(radians(latitude))
    return 2 * EARTH_KM * asin(min(1.0, sqrt(up + flat * along)))


def _in_km(distance: Decimal, code: str) -> float:
    here, km = unit(code), unit("km")
    found = converted(distance, here, km) if here and km and distance.is_finite() else None
    if found is None:
        raise Malformed("names a unit that is no length", "nêu đơn vị không phải độ dài")
    return float(found)


def _malformed() -> Malformed:
    return Malformed(
        "must be latitude|longitude|distance|unit, such as 10.78|106.70|5|km",
        "phải là vĩ độ|kinh độ|khoảng cách|đơn vị, ví dụ 10.78|106.70|5|km",
    )
