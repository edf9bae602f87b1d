"""The words of a resource: those of its narrative, and all that a reader would read.

https://hl7.org/fhir/R4/search.html#text. A word is a run of letters and digits, folded
(`identity.folding`). In Vietnamese that is a syllable, so what belongs together is found by
phrases, and each word has its places. Read are names, addresses, displays, titles, units, notes,
questions and answers, extensions and contained resources. Left out is what is compared by other
parameters and would make a word of its own for each resource: identifiers, telephone numbers,
references and urls, dates and numbers; and what is meant for machines: codes (their displays are
read), `meta`, versions, link ids.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from html import unescape
from types import MappingProxyType
from typing import Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.identity.folding import fold
from ehr_server.search.rows import CACHED_MAX

Places: TypeAlias = Mapping[str, list[int]]  # word -> where it stands, growing

NARRATIVE = 3 << 14  # added to the places of the narrative: PostgreSQL's weight A

# PostgreSQL knows 16,383 places in a text, 255 of one word, and 1 MB of words. What comes after
# the limits is not found.
PLACES_MAX = 8_000  # of the narrative, and of the rest
WORD_PLACES_MAX = 255
WORD_MAX = 32  # characters; a longer word is found by its beginning
CHARACTERS_MAX = 100_000  # of all words, in the narrative and in the rest
XHTML_MAX = 1_000_000  # characters of a narrative, tags and all
_REST = 8_192  # the first place that is not the narrative's

_TEXTS = frozenset(("string", "markdown"))
_LEFT_OUT = frozenset(
    ("id", "linkId", "subscriberId", "ContactPoint.value", "Identifier.value", "Coding.version",
     "Reference.reference", "SampledData.data")
)  # fmt: skip

# All but spaces, punctuation and symbols: vowels of some scripts are marks, no letters to Python.
_WORD = re.compile(
    "[^\\s\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u037e\u0387"
    "\u060c\u061b\u061f\u06d4\u0964\u0965\u17d4-\u17da\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff"
    "\u3000-\u3004\u3008-\u3020\ud800-\udfff\ufeff\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff65]+"
)
# No `<` inside, so that each try ends at the next one: linear whatever is sent.
_TAG = re.compile(r"""<(/?[A-Za-z0-9]*)(?:[^<>"']|"[^<"]*"|'[^<']*')*>""")
_WITHIN_WORDS = frozenset(
    ("a", "abbr", "acronym", "b", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i",
     "ins", "kbd", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u",
     "var")
)  # fmt: skip


def places(resource: dict[str, Any]) -> Places:
    """The words of a resource and where they stand; nothing where it has none.

    Two texts that follow one another are a place apart, so that no phrase reaches over both.
    """
    found: dict[str, list[int]] = {}
    narrative = resource.get("text")
    if isinstance(narrative, dict):  # a Parameters or Binary has none
        _place(found, (plain(narrative.get("div", "")),), NARRATIVE + 1)
    texts: list[str] = []
    _gather(resource, resource["resourceType"], texts)
    _place(found, dict.fromkeys(texts), _REST)
    return found


def words(text: str) -> tuple[str, ...]:
    """The words of a text, folded, in order."""
    return (_cached if len(text) < CACHED_MAX else _words)(text)


def plain(xhtml: str) -> str:
    """The text of a narrative: no tags, no comments, characters in place of entities.

    https://hl7.org/fhir/R4/narrative.html
    """
    first, *others = xhtml[:XHTML_MAX].split("<!--")
    shown = [first, *(other.partition("-->")[2] for other in others)]
    return unescape(_TAG.sub(_between, "".join(shown)))


def _between(tag: re.Match[str]) -> str:
    """H<sub>2</sub>O is one word, two cells of a table are two."""
    return "" if tag[1].lstrip("/").lower() in _WITHIN_WORDS else " "


def _place(found: dict[str, list[int]], texts: Iterable[str], at: int) -> None:
    end, room = at + PLACES_MAX, CHARACTERS_MAX
    for text in texts:
        for word in words(text):
            room -= len(word)
            if at >= end or room < 0:
                return
            several = found.get(word)
            if several is None:
                found[word] = [at]
            elif len(several) < WORD_PLACES_MAX:
                several.append(at)
            at += 1
        at += 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(word[:WORD_MAX] for word in _WORD.findall(fold(text)))


_cached = lru_cache(maxsize=16_384)(_words)  # displays repeat


def _gather(node: dict[str, Any], type_name: str, texts: list[str]) -> None:
    """Add the texts of a node of that type, in the order in which they stand."""
    keys = _keys(type_name)
    for key, value in node.items():
        kind = keys.get(key)
        if kind is None:
            continue
        for one in value if isinstance(value, list) else (value,):
            if one is None:  # beside the extension of a primitive
                continue
            if kind == "":
                texts.append(one)
            elif kind == "xhtml":
                texts.append(plain(one))
            else:
                _gather(one, one["resourceType"] if kind == "Resource" else kind, texts)


@cache
def _keys(type_name: str) -> Mapping[str, str]:
    """By the keys of a type that lead to texts: the type to go on with; "" for a text itself."""
    definition = definitions().types[type_name]
    found = {}
    for element in definition.elements.values():
        for key, kind in element.json_names():
            if key in _LEFT_OUT or f"{type_name}.{key}" in _LEFT_OUT:
                continue
            if kind == "xhtml":
                found[key] = kind
            elif kind in _TEXTS:
                found[key] = ""
            elif definitions().types[kind].kind != "primitive":
                found[key] = kind
            if kind[0].islower() and kind != "xhtml" and not element.is_bare:
                found[f"_{key}"] = kind
    if definition.kind == "resource":  # the narrative is read by itself
        found.pop("text", None)
        found.pop("meta", None)
    return MappingProxyType(found)
