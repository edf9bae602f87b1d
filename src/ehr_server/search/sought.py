"""What is sought in a text: words, phrases, and how they are put together.

https://hl7.org/fhir/R4/search.html#text leaves the syntax open and gives one example,
`(bone OR liver) and metastases`. All parts must be there unless OR stands between them:

    viem phoi           both words          "viem phoi"   one after the other
    (phoi OR gan) u     one of the two      -u, NOT u     it is not there
    phe*                the beginning

AND and OR are understood in any case; NOT in capitals alone, for `nốt` without its tone is a word
of the clinic. A word with marks within, such as `x-quang` or `120/80`, is a phrase.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ehr_server.search.malformed import Malformed
from ehr_server.search.words import NARRATIVE, Places, words

WORDS_MAX = 50  # of one search
DEPTH_MAX = 10  # of parentheses and negations in one another


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand one after the other; of the last one, the beginning where `is_start`."""

    words: tuple[str, ...]
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class Without:
    """The part is not there."""

    part: "Sought"


@dataclass(frozen=True, slots=True)
class Every:
    """All parts are there."""

    parts: tuple["Sought", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One part at least is there."""

    parts: tuple["Sought", ...]


Sought: TypeAlias = Phrase | Without | Every | Some


def read(text: str) -> Sought:
    """What the text asks for. Raises `Malformed`; also where a text without any word would do,
    since the index knows only those that have some."""
    tokens = list(_tokens(text))
    phrases = [token for token in tokens if isinstance(token, Phrase)]
    if not phrases:
        raise Malformed("has nothing to search for", "không có nội dung để tìm")
    if sum(len(phrase.words) for phrase in phrases) > WORDS_MAX:
        raise Malformed(f"has more than {WORDS_MAX} words", f"có hơn {WORDS_MAX} từ")
    found = _Reader(tokens).whole()
    if is_met(found, {}):
        raise Malformed(
            "says only what must not be there; name a word that must",
            "chỉ nêu từ phải vắng mặt; xin nêu thêm từ phải có",
        )
    return found


def tsquery(sought: Sought, weight: str = "") -> str:
    """The same in PostgreSQL's own syntax, to be sent as a parameter; `weight` A is the narrative.

    https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY
    """
    match sought:
        case Phrase():
            return f"({' <-> '.join(_lexemes(sought, weight))})"
        case Without():
            return f"!({tsquery(sought.part, weight)})"
        case Every():
            return f"({' & '.join(tsquery(part, weight) for part in sought.parts)})"
        case Some():
            return f"({' | '.join(tsquery(part, weight) for part in sought.parts)})"


def is_met(sought: Sought, places: Places, *, is_narrative: bool = False) -> bool:
    """Whether the words at these places are what is sought, all of them or the narrative's."""
    match sought:
        case Phrase():
            return _is_there(sought, places, NARRATIVE if is_narrative else 0)
        case Without():
            return not is_met(sought.part, places, is_narrative=is_narrative)
        case Every():
            return all(is_met(part, places, is_narrative=is_narrative) for part in sought.parts)
        case Some():
            return any(is_met(part, places, is_narrative=is_narrative) for part in sought.parts)


def _lexemes(phrase: Phrase, weight: str) -> Iterator[str]:
    """Quoted, although no word holds a quote or a backslash (`search.words`)."""
    last = len(phrase.words) - 1
    for at, word in enumerate(phrase.words):
        escaped = word.replace("\\", "\\\\").replace("'", "''")
        marks = ("*" if phrase.is_start and at == last else "") + weight
        yield f"'{escaped}'" + (f":{marks}" if marks else "")


def _is_there(phrase: Phrase, places: Places, least: int) -> bool:
    ends: set[int] | None = None
    last = len(phrase.words) - 1
    for at, word in enumerate(phrase.words):
        if phrase.is_start and at == last:
            here = {one for known in places if known.startswith(word) for one in places[known]}
        else:
            here = set(places.get(word, ()))
        here = {one for one in here if one >= least}
        ends = here if ends is None else {one + 1 for one in ends} & here
    return bool(ends)


_TOKEN = re.compile(
    r'\s*(?:(?P<sign>[()]|-(?=\S))|"(?P<phrase>[^"]*)"|(?P<chunk>[^\s()"]+)|(?P<odd>"))'
)
_QUOTES = str.maketrans("“”„", '"""')
_AND, _OR, _NOT = "AND", "OR", "NOT"


def _tokens(text: str) -> Iterator[Phrase | str]:
    """Phrases, parentheses, AND, OR and NOT; what has no word in it is left out."""
    for match in _TOKEN.finditer(text.translate(_QUOTES).strip()):
        chunk, sign = match["chunk"], match["sign"]
        if match["odd"]:
            raise Malformed(
                "has a quotation mark without its partner", "có dấu ngoặc kép không đóng"
            )
        if sign:
            yield _NOT if sign == "-" else sign
        elif chunk and (chunk == _NOT or chunk.upper() in (_AND, _OR)):
            yield chunk.upper()
        else:
            written = chunk or match["phrase"]
            if found := words(written):
                yield Phrase(found, written.rstrip().endswith("*"))


class _Reader:
    """Reads tokens from the first to the last."""

    def __init__(self, tokens: Sequence[Phrase | str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Sought:
        found = self._some()
        if self._at < len(self._tokens):
            raise _odd_parenthesis()
        return found

    def _some(self) -> Sought:
        parts = [self._every()]
        while self._take(_OR):
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _every(self) -> Sought:
        parts = [self._part()]
        while self._at < len(self._tokens) and self._tokens[self._at] not in (_OR, ")"):
            self._take(_AND)
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _part(self) -> Sought:
        if self._take(_NOT):
            return Without(self._deeper(self._part))
        if self._take("("):
            found = self._deeper(self._some)
            if not self._take(")"):
                raise _odd_parenthesis()
            return found
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if not isinstance(token, Phrase):
            raise Malformed(
                "has AND, OR, NOT or a parenthesis without words beside it",
                "có AND, OR, NOT hoặc dấu ngoặc không kèm từ",
            )
        self._at += 1
        return token

    def _deeper(self, read_part: Callable[[], Sought]) -> Sought:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise Malformed(
                f"has more than {DEPTH_MAX} parentheses in one another",
                f"có hơn {DEPTH_MAX} lớp ngoặc lồng nhau",
            )
        found = read_part()
        self._depth -= 1
        return found

    def _take(self, token: str) -> bool:
        is_here = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += is_here
        return is_here


def _odd_parenthesis() -> Malformed:
    return Malformed("has a parenthesis without its partner", "có dấu ngoặc đơn không khớp")
