"""What of a search no address may show: the numbers of people, and what came in a body.

https://hl7.org/fhir/R4/http.html#search: a search comes by POST so that its parameters stand in no
log. A Bundle repeats them all the same, for `self` tells what was searched really and the others
lead to its further pages. So such pairs are sealed into one, `_sealed=...`, which stands for them
wherever a link is followed; whoever finds it in a log learns nothing.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from ehr_server import sealing
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.identity.folding import fold
from ehr_server.redact import LEFT_OUT, holds_number, id_without_number
from ehr_server.search.query import (
    Chain,
    Condition,
    Conjunction,
    Disjunction,
    Has,
    Negation,
)
from ehr_server.search.types.hierarchy import Kin
from ehr_server.search.types.reference import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ehr_server.search.parameter import Parameter
    from ehr_server.search.query import Alternative, Criterion

SEALED = "_sealed"

Pair = tuple[str, str]

_VALUES = re.compile("[,|$]")
_IDS = re.compile("[,|/]")
_STRUCK_MIN = 4  # characters; less is nobody's number, and stands everywhere
# What an expression goes through to one: an element that is an Identifier, by its name, or a
# number that the standard has as a string.
_OF_NUMBERS = re.compile("[iI]dentifier|requisition|subscriberId")


def is_private(criterion: Criterion, value: str) -> bool:
    """Whether the value of a parameter, which was understood as the criterion, may be somebody's
    number: by the definition of the parameter at the end of whatever chain, or in a text."""
    match criterion:
        case Condition():
            return any(_is_number(one, value) for one in criterion.alternatives)
        case Negation() | Chain() | Has():
            return is_private(criterion.criterion, value)
        case Conjunction() | Disjunction():
            return any(is_private(one, value) for one in criterion.criteria)
    return False


def shown(
    pairs: Sequence[Pair], private: Collection[Pair], of: Sequence[str], key: bytes
) -> list[Pair]:
    """The pairs as an address shows them: those that are private sealed into one, each with its
    place among all, as the order of an answer may hang on it.

    `of` are the segments of the path; `key` is that of `sealing`.
    """
    sealed = [[at, *pair] for at, pair in enumerate(pairs) if pair in private]
    if not sealed:
        return list(pairs)
    token = sealing.seal(zlib.compress(json.write(sealed)), _purpose(of), key)
    return [(SEALED, token), *(pair for pair in pairs if pair not in private)]


def revealed(
    pairs: Sequence[Pair], of: Sequence[str], key: bytes
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """The pairs with those that were sealed in their places, and those alone. Raises `Invalid` for
    a token that is not of this server and path."""
    whole = [pair for pair in pairs if pair[0] != SEALED]
    found: list[Pair] = []
    for name, token in pairs:
        for at, *pair in _opened(token, of, key) if name == SEALED else ():
            found.append((pair[0], pair[1]))
            whole.insert(at, found[-1])
    return tuple(whole), tuple(found)


def struck(text: str, value: str) -> str:
    """A text about a private pair with `…` in the place of its value; naming systems stay."""
    sent = _VALUES.split(value)
    parts = [one for one in sent if "://" not in one and len(one) >= _STRUCK_MIN]
    for part in (*parts, *map(fold, parts)):
        text = re.sub(re.escape(part), LEFT_OUT, text, flags=re.IGNORECASE)
    return text


def _opened(token: str, of: Sequence[str], key: bytes) -> list[tuple[int, str, str]]:
    try:
        content = sealing.unseal(token, _purpose(of), key)
    except ValueError:
        raise Invalid(
            f"{SEALED} is not of a link that this server gave for this search: follow a link as it "
            "stands, or search again by the parameters themselves.",
            vi=f"{SEALED} không thuộc liên kết mà máy chủ này đã trả cho lần tìm này: xin dùng "
            "nguyên liên kết, hoặc tìm lại bằng chính các tham số.",
            expression=(SEALED,),
        ) from None
    opened: list[tuple[int, str, str]] = json.read_own(zlib.decompress(content))
    return opened


def _purpose(of: Sequence[str]) -> bytes:
    """A search and its form by POST are one."""
    return "/".join((SEALED, *(part for part in of if part != "_search"))).encode()


def _is_number(one: Alternative, value: str) -> bool:
    parameter = one.parameter
    parts = [part.parameter for part in parameter.parts]
    if any(map(_holds_numbers, (parameter, *parts))):
        return True
    if parameter.type == "reference" and not isinstance(one.term, Target | Kin):
        return True  # `patient:identifier`
    if parameter.type in ("string", "fulltext"):
        return holds_number(value)
    is_code = parameter.type != "reference" and parameter.place != "id"
    return not is_code and any(id_without_number(one) != one for one in _IDS.split(value))


def _holds_numbers(parameter: Parameter) -> bool:
    """Its values are Identifiers, or are taken out of one, as `Patient.identifier.value`; or they
    are numbers of telephones."""
    is_one = not parameter.types.isdisjoint(("Identifier", "ContactPoint"))
    return is_one or any(map(_OF_NUMBERS.search, parameter.paths))
