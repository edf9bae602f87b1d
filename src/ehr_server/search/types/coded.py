"""How codes, identifiers and their like lie in the index: see `ehr_server.search.types.token`.

https://hl7.org/fhir/R4/search.html#token
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from ehr_server.hashing import hash64
from ehr_server.identity.folding import fold
from ehr_server.identity.forms import keys, same_systems
from ehr_server.search.parameter import Parameter
from ehr_server.search.rows import CACHED_MAX, STRING_MAX, Rows
from ehr_server.search.rules import Rules

TEXT, OF_TYPE = ":text", ":of-type"  # what hashes of texts and of typed identifiers begin with

_SPACED = str.maketrans("", "", " .()-")


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,
) -> Callable[[Any, Rows], None] | None:
    """Codings by system and code, identifiers by system and value, all else by itself."""
    if type_name == "CodeableConcept":
        return _concept_main(parameter) if parameter.place == "main" else _concept(parameter)
    if type_name == "Coding":
        return _coding(parameter)
    if type_name == "Identifier":
        return _directory(parameter) if parameter.place == "identifier" else _identifier(parameter)
    if type_name == "ContactPoint":
        return _contact(parameter)
    if type_name == "boolean":
        return _boolean(parameter)
    return _plain(parameter) if type_name[0].islower() else None


def pairs(type_name: str, value: Any, parameter: Parameter) -> Iterator[tuple[str, str]]:
    """System ("" for none) and folded code of each coding that a value is; of no Identifier, which
    is more than a code (`identity.forms`)."""
    if type_name == "CodeableConcept":
        for coding in value.get("coding", ()):
            yield from pairs("Coding", coding, parameter)
    elif type_name == "Coding":
        yield value.get("system") or "", folded(value.get("code") or "")
    elif type_name == "ContactPoint":
        yield "", contact_form(value.get("value") or "")
    elif type_name == "boolean":
        yield "", "true" if value else "false"
    elif type_name == "id":
        yield "", value
    elif type_name[0].islower():
        yield "", folded(value)


def texts_of(type_name: str, value: Any) -> list[str]:
    """What the modifier :text looks at."""
    if type_name == "CodeableConcept":
        texts = [coding["display"] for coding in value.get("coding", ()) if "display" in coding]
        return [*texts, value["text"]] if "text" in value else texts
    if type_name == "Coding":
        return [value["display"]] if "display" in value else []
    if type_name == "Identifier":
        text = value.get("type", {}).get("text")
        return [text] if text else []
    return []


def folded(text: str) -> str:
    """A code without regard to case."""
    return text.casefold()


def contact_form(text: str) -> str:
    """Telephone numbers without what only parts their digits; addresses without case."""
    return folded(text) if "@" in text or ":" in text else folded(text.translate(_SPACED))


def _forms(name: str, system: str | None, code: str | None) -> tuple[int, tuple[int, ...]]:
    """The hash of the bare code (0: none), and those of the forms with a system."""
    bare = hash64(name, folded(code)) if code else 0
    full = (hash64(name, system or "", folded(code)),) if code else ()
    return bare, (*full, hash64(name, system, "")) if system else full


_cached = lru_cache(maxsize=16_384)(_forms)


def _coded(name: str, system: str | None, code: str | None) -> tuple[int, tuple[int, ...]]:
    """As `_forms`, of codes, which repeat."""
    is_short = len(system or "") + len(code or "") < CACHED_MAX
    return _cached(name, system, code) if is_short else _forms(name, system, code)


# The hash of the bare code (0: none), all other hashes, and the texts.
_Told: TypeAlias = tuple[int, tuple[int, ...], tuple[tuple[int, str], ...]]


def _all_of(
    of: tuple[str, int], system: str | None, code: str | None, display: str | None
) -> _Told:
    """What a coding is found by, of the parameter with this name and number."""
    bare, forms = _coded(of[0], system, code)
    if display is None:
        return bare, forms, ()
    known, hash_ = _call(of[0], display)
    return (bare, (*forms, hash_), ((of[1], known),)) if known else (bare, forms, ())


_all_cached = lru_cache(maxsize=16_384)(_all_of)


def _told(of: tuple[str, int], coding: Mapping[str, Any]) -> _Told:
    """As `_all_of`: codings repeat, with what they are called."""
    get = coding.get
    system, code, display = get("system"), get("code"), get("display")
    length = len(system or "") + len(code or "") + len(display or "")
    return (_all_cached if length < CACHED_MAX else _all_of)(of, system, code, display)


def _concept(parameter: Parameter) -> Callable[[Any, Rows], None]:
    of = (parameter.name, parameter.number)

    def take(value: Any, rows: Rows) -> None:
        for coding in value.get("coding", ()):
            bare, others, texts = _told(of, coding)
            rows.toks += others
            if bare:
                rows.toks.append(bare)
            if texts:
                rows.texts += texts
        if "text" in value:
            _take_text(value["text"], of, rows)

    return take


def _take_text(text: str, of: tuple[str, int], rows: Rows) -> None:
    """Often it is the same as before: nothing is made anew then."""
    known, hash_ = (_called if len(text) < CACHED_MAX else _call)(of[0], text)
    if known:
        rows.toks.append(hash_)
        rows.texts.append((of[1], known))


def _call(name: str, text: str) -> tuple[str, int]:
    known = fold(text)[:STRING_MAX]
    return known, hash64(name, TEXT, known)


_called = lru_cache(maxsize=16_384)(_call)


def _concept_main(parameter: Parameter) -> Callable[[Any, Rows], None]:
    of = (parameter.name, parameter.number)

    def take(value: Any, rows: Rows) -> None:
        for coding in value.get("coding", ()):
            bare, others, texts = _told(of, coding)
            rows.toks += others
            if bare and rows.c1 is None:
                rows.c1 = bare
            elif bare and bare != rows.c1:
                rows.toks.append(bare)
            if texts:
                rows.texts += texts
        if "text" in value:
            _take_text(value["text"], of, rows)

    return take


def _coding(parameter: Parameter) -> Callable[[Any, Rows], None]:
    of = (parameter.name, parameter.number)

    def take(value: Any, rows: Rows) -> None:
        bare, others, texts = _told(of, value)
        rows.toks += others
        if bare:
            rows.toks.append(bare)
        rows.texts += texts

    return take


def _identifier(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name, take_rest = parameter.name, _beside_value(parameter)

    def take(value: Any, rows: Rows) -> None:
        rows.toks += identifier_hashes(name, value)
        take_rest(value, rows)

    return take


def identifier_hashes(name: str, identifier: dict[str, Any]) -> list[int]:
    """The hashes of all that an Identifier is found by (`identity.forms`)."""
    value = identifier.get("value")
    return [hash64(name, *key) for key in keys(identifier.get("system"), value)] if value else []


def _beside_value(parameter: Parameter) -> Callable[[Any, Rows], None]:
    """Of an Identifier, its naming system, its type with the value, and what the type is called."""
    name, number = parameter.name, parameter.number

    def take(value: Any, rows: Rows) -> None:
        if system := value.get("system"):
            rows.toks.append(_coded(name, same_systems(system), None)[1][0])
        rows.toks += _type_forms(name, value)
        for text in texts_of("Identifier", value):
            _take_text(text, (name, number), rows)

    return take


def _type_forms(name: str, identifier: dict[str, Any]) -> list[int]:
    """Of an Identifier, all that its value is found by, with each coding of its type."""
    value, codings = identifier.get("value"), identifier.get("type", {}).get("coding", ())
    if not value or not codings:
        return []
    return [
        hash64(name, OF_TYPE, coding["system"], folded(coding["code"]), *key)
        for coding in codings
        if coding.get("system") and coding.get("code")
        for key in keys(identifier.get("system"), value)
    ]


def _directory(parameter: Parameter) -> Callable[[Any, Rows], None]:
    """What leads to one person lies in the directory; a system alone would lead to everyone."""
    name, take_rest = parameter.name, _beside_value(parameter)

    def take(value: Any, rows: Rows) -> None:
        rows.identifiers += identifier_hashes(name, value)
        take_rest(value, rows)

    return take


def _contact(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        if text := value.get("value"):
            rows.toks.append(hash64(name, contact_form(text)))

    return take


def _boolean(parameter: Parameter) -> Callable[[Any, Rows], None]:
    hashes = {False: hash64(parameter.name, "false"), True: hash64(parameter.name, "true")}

    def take(value: Any, rows: Rows) -> None:
        rows.toks.append(hashes[value])

    return take


def _plain(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        rows.toks.append(_coded(name, None, value)[0])

    return take
