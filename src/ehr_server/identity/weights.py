"""What agreement and disagreement of two records say, level by level: the table of Fellegi-Sunter.

I. P. Fellegi, A. B. Sunter, "A Theory for Record Linkage", JASA 64 (1969). Of pairs that are one
person a share `m` stands at a level, of pairs that are not a share `u`; the level weighs
log2(m / u) bits. A field that one record lacks weighs nothing. The figures below are where a site
begins; `ehr-server train-match` estimates its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log2
from types import MappingProxyType

from ehr_server.identity.frequencies import AGREEING, Role, share

Row = tuple[str, str, float, float]  # field, level, m, u
Shares = tuple[float, float]  # m and u

_LEAST = 1e-9  # a share that is nothing would weigh without bound

# Two records taken at random are one person in 1 of 100,000 pairs: what is known before anything
# is compared, as the one level of a field that all pairs have.
PRIOR = ("pair", "any")

DEFAULT: Mapping[tuple[str, str], Shares] = MappingProxyType(
    {
        PRIOR: (0.00001, 0.99999),
        ("family", "same"): (0.965, AGREEING["family"]),
        ("family", "tones"): (0.01, 0.01),
        ("family", "close"): (0.015, 0.03),
        ("family", "lost"): (0.005, 0.01),
        ("family", "other"): (0.005, 0.82),
        ("middle", "same"): (0.88, AGREEING["middle"]),
        ("middle", "tones"): (0.02, 0.02),
        ("middle", "close"): (0.02, 0.05),
        ("middle", "lost"): (0.06, 0.12),
        ("middle", "other"): (0.02, 0.70),
        ("given", "same"): (0.935, AGREEING["given"]),
        ("given", "tones"): (0.02, 0.008),
        ("given", "close"): (0.025, 0.045),
        ("given", "lost"): (0.005, 0.005),
        ("given", "other"): (0.015, 0.93),
        ("birth", "same"): (0.90, 0.00004),
        ("birth", "swapped"): (0.008, 0.00001),
        ("birth", "digit"): (0.025, 0.0015),
        ("birth", "partial"): (0.04, 0.0006),
        ("birth", "year"): (0.004, 0.013),
        ("birth", "other"): (0.023, 0.985),
        ("sex", "same"): (0.995, 0.5),
        ("sex", "other"): (0.005, 0.5),
        ("address", "line"): (0.25, 0.0005),
        ("address", "ward"): (0.45, 0.02),
        ("address", "province"): (0.18, 0.1),
        ("address", "other"): (0.12, 0.88),
        ("phone", "same"): (0.6, 0.0005),
        ("phone", "other"): (0.4, 0.9995),
        ("mother", "same"): (0.88, 0.002),
        ("mother", "close"): (0.08, 0.003),
        ("mother", "other"): (0.04, 0.995),
        ("number", "same"): (0.93, 1e-7),
        ("number", "card"): (0.04, 1e-7),
        ("number", "local"): (0.02, 1e-6),
        ("number", "slip"): (0.008, 0.00005),
        ("number", "other"): (0.001, 0.9999),
    }
)
FIELDS: tuple[str, ...] = tuple(dict.fromkeys(field for field, _ in DEFAULT))[1:]
_ROLES: Mapping[str, Role] = MappingProxyType(
    {"family": "family", "middle": "middle", "given": "given"}
)


@dataclass(frozen=True, slots=True)
class Weights:
    """The table in use: m and u by field and level."""

    shares: Mapping[tuple[str, str], Shares]

    def bits(self, field: str, level: str, words: tuple[str, ...] = ()) -> float:
        """How much the level says. A name's words that agree say the more, the rarer they are:
        as often as these do, people agree by chance, scaled by how often they do here."""
        m, u = self.shares[field, level]
        role = _ROLES.get(field)
        if level == "same" and role is not None:
            u *= share(role, words) / AGREEING[role]
        return bits(m, u)

    @property
    def prior(self) -> float:
        """The bits that speak for one person before anything is compared: a negative number."""
        return self.bits(*PRIOR)

    def rows(self) -> list[Row]:
        """The table, in the order of the defaults."""
        return [(field, level, *self.shares[field, level]) for field, level in DEFAULT]


def bits(m: float, u: float) -> float:
    """What a level weighs at which these shares of pairs stand."""
    return log2(max(m, _LEAST) / min(max(u, _LEAST), 1.0))


@lru_cache(maxsize=8)
def weights(rows: tuple[Row, ...] = ()) -> Weights:
    """The defaults, but for what the rows say; rows of levels that are not known, and shares that
    are none, are left out."""
    return Weights(MappingProxyType({**DEFAULT, **dict(_sound(rows))}))


def _sound(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, str], Shares]]:
    for field, level, m, u in rows:
        if (field, level) in DEFAULT and 0 <= m <= 1 and 0 <= u <= 1:
            yield (field, level), (m, u)
