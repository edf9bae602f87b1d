"""What one resource adds to the index."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ehr_server.consent.rule import Rule

# The number of this format, stored with each row. It grows whenever the same resource would be
# indexed otherwise; `ehr-server reindex` then brings the rows of older numbers up to date.
FORMAT = 6

# The main date of a resource that has none: below every other, so that an ordered read of the
# index needs no case for it.
UNDATED = datetime(1, 1, 1, tzinfo=UTC)

STRING_MAX = 400  # characters of a string that are indexed
CACHED_MAX = 300  # characters of a text that a cache keeps: one of a megabyte must not stay


@dataclass(slots=True)
class Rows:
    """The columns of the narrow row, and the side rows; nothing twice.

    `d1`, `d1e`, `c1`, `q1` are the main date [d1, d1e), code and quantity of its type
    (`search.parameters`). `d1` is `UNDATED` where the type has a main date but the resource none,
    None where the type has none. `has` holds the bits of the parameters that have a value.
    """

    toks: list[int] = field(default_factory=list)  # sorted
    marks: list[int] = field(default_factory=list)  # beside them in the index (`search.marks`)
    refs: list[int] = field(default_factory=list)  # sorted
    d1: datetime | None = None
    d1e: datetime | None = None
    c1: int | None = None
    q1: float | None = None
    has: int = 0
    # letter of the parameter and folded text, hash of the text as it is (0: a word of one), its
    # n-grams (none: another row holds them)
    strings: list[tuple[str, int, list[int]]] = field(default_factory=list)
    dates: list[tuple[int, datetime, datetime]] = field(default_factory=list)  # [lo, hi)
    # parameter, value, unit or 0, then what it stands beside: code and system, or 0
    quantities: list[tuple[int, float, int, int, int]] = field(default_factory=list)
    identifiers: list[int] = field(default_factory=list)  # for the directory, Patient only
    patients: list[str] = field(default_factory=list)  # whose compartments hold it, home first
    texts: list[tuple[int, str]] = field(default_factory=list)  # of codes: parameter, folded
    words: Mapping[str, list[int]] = field(default_factory=dict)  # with places: `search.words`
    directives: list[Rule] = field(default_factory=list)  # of a Consent
    units: list[str] = field(default_factory=list)  # UCUM codes of quantities
