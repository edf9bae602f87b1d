"""The weights of a site, estimated from its own records: no pair need be judged by a human.

`u` is counted on pairs taken at random, which are hardly ever one person. `m` is estimated by
expectation and maximization (Winkler, "Using the EM algorithm for weight computation in the
Fellegi-Sunter model", 1988) on pairs that share a block, block by block, of the fields that the
block leaves open; the estimates are put together by how many pairs of one person each expects.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ehr_server.identity.blocks import Kind
from ehr_server.identity.match import Levels, is_kept_apart
from ehr_server.identity.weights import DEFAULT, PRIOR, Row, Weights

Pattern = frozenset[tuple[str, str]]  # levels of a pair: ("sex", "same"), ...

# What two records that share a block agree on by that alone.
SETTLED: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        "mother-birth": frozenset(("mother", "birth")),
        "birth-given": frozenset(("birth", "given")),
        "birth-name": frozenset(("birth", "family", "middle")),
        "name-year": frozenset(("family", "middle", "given", "birth")),
        "name-ward": frozenset(("family", "middle", "given", "address")),
        "given-year-ward": frozenset(("given", "birth", "address")),
    }
)
SEEN_MIN = 10  # pairs at a level, below which chance would tell more than the record
EXPECTED_MIN = 30  # pairs of one person, below which m stays as it is
_ROUNDS = 30
_AS_BEFORE = 20.0  # pairs that the figures so far count as much as
_SHARE_AT_FIRST = 0.05  # of pairs in a block that are taken for one person
_LEAST = 1e-9
_TWO = ("slip", "other")  # levels of the number at which two people are, as a rule
# What numbers say is law and not custom: their shares of one person are not learnt, since pairs are
# told apart by them.
_NOT_LEARNT = frozenset(("number", "pair"))


@dataclass(frozen=True, slots=True)
class Learnt:
    """The new table, and how many pairs in blocks are expected to be one person."""

    rows: tuple[Row, ...]
    expected: float


def pattern(levels: Levels) -> Pattern:
    """The levels of a pair, for counting."""
    return frozenset(levels.items())


def learnt(
    at_random: Counter[Pattern],
    in_blocks: Mapping[Kind, Counter[Pattern]],
    persons: int,
    before: Weights,
) -> Learnt:
    """The weights of a record of so many persons, beginning from those before."""
    u = _counted(at_random, before)
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    total = 0.0
    for kind, patterns in in_blocks.items():
        found, number = _expected(patterns, SETTLED[kind], before, u)
        for key, count in found.items():
            expected[key] += count
        total += number
    m = _put_together(expected, before) if total >= EXPECTED_MIN else {}
    prior = 1 / max(persons, 1_000)
    rows = {
        key: (m.get(key, shares[0]), u.get(key, shares[1])) for key, shares in before.shares.items()
    }
    rows[PRIOR] = (prior, 1 - prior)
    return Learnt(tuple((*key, *rows[key]) for key in DEFAULT), total)


def _counted(patterns: Counter[Pattern], before: Weights) -> dict[tuple[str, str], float]:
    """The share of the pairs, of those that have the field, that stand at each level."""
    levels: Counter[tuple[str, str]] = Counter()
    fields: Counter[str] = Counter()
    for one, count in patterns.items():
        for field, level in one:
            levels[field, level] += count
            fields[field] += count
    return {key: levels[key] / fields[key[0]] for key in before.shares if levels[key] >= SEEN_MIN}


def _expected(
    patterns: Counter[Pattern],
    settled: frozenset[str],
    before: Weights,
    u: Mapping[tuple[str, str], float],
) -> tuple[Mapping[tuple[str, str], float], float]:
    """How many pairs of one person stand at each level of the fields that are open, and how many
    there are. A number that both have tells, and so do two live ones that differ. Kin agree on much
    together, which would be taken for sameness: they count for none.
    """
    several = [
        (tuple(pair for pair in one if pair[0] not in settled), count, _is_told(dict(one)))
        for one, count in patterns.items()
        if not is_kept_apart(dict(one)) and dict(one).get("number") not in _TWO
    ]
    pairs = max(1, patterns.total())
    m = {key: shares[0] for key, shares in before.shares.items()}
    share, number = _SHARE_AT_FIRST, 0.0
    levels: defaultdict[tuple[str, str], float] = defaultdict(float)
    for _ in range(_ROUNDS):
        levels.clear()
        number = 0.0
        for open_, count, is_told in several:
            same, other = share, 0.0 if is_told else 1 - share
            for key in open_:
                same *= max(m[key], _LEAST)
                other *= max(u.get(key, before.shares[key][1]), _LEAST)
            likely = count * same / (same + other)
            number += likely
            for key in open_:
                levels[key] += likely
        share = min(0.99, max(_LEAST, number / pairs))
        m.update(_put_together(levels, before))
    return levels, number


def _is_told(levels: Levels) -> bool:
    """Whether a number tells that both are one person."""
    return levels.get("number") in ("same", "card")


def _put_together(
    expected: Mapping[tuple[str, str], float], before: Weights
) -> dict[tuple[str, str], float]:
    """Shares by field, where the figures before count as some pairs do."""
    fields: defaultdict[str, float] = defaultdict(float)
    for (field, _), count in expected.items():
        fields[field] += count
    return {
        key: (expected.get(key, 0.0) + _AS_BEFORE * shares[0]) / (fields[key[0]] + _AS_BEFORE)
        for key, shares in before.shares.items()
        if key[0] not in _NOT_LEARNT
    }
