"""Functions of strings. http://hl7.org/fhirpath/N1/#string-manipulation

And split, join and trim of http://hl7.org/fhirpath/#additional-string-functions. Patterns run on
an engine that is linear in time (`patterns`), so that none of a guide can stop the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import Branch, Flow, all_values, boolean, single
from ehr_server.fhirpath.functions.row import Function, of_text
from ehr_server.patterns import matcher, replacer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.fhirpath.site import Site


def matches(site: Site) -> Flow:
    """Whether the string holds a match of the pattern, which is compiled once."""
    pattern = site.text()
    try:
        is_match = matcher(pattern)
    except ValueError as error:
        raise FHIRPathError(f"not a regular expression: {error}", site.at) from None
    one = single(site.source)

    def run(focus: Any, resource: Any) -> bool | None:
        value = one(focus, resource)
        return is_match(value) if isinstance(value, str) else None

    return boolean(run)


def replace_matches(site: Site) -> Flow:
    """The string with all that the pattern finds replaced."""
    pattern, substitute = site.text(), site.text(1)
    if "$" in substitute or "\\" in substitute:
        raise FHIRPathError("replaceMatches() holds no groups in what it puts in", site.at)
    try:
        replaced = replacer(pattern, substitute)
    except ValueError as error:
        raise FHIRPathError(f"replaceMatches() does not hold this: {error}", site.at) from None
    one = single(site.source)

    def run(focus: Any, resource: Any) -> str | None:
        value = one(focus, resource)
        return replaced(value) if isinstance(value, str) else None

    return Flow((Branch("string", run),))


def join(site: Site) -> Flow:
    """The strings as one, with the separator between them."""
    values = all_values(site.source)
    between = single(site.argument()) if site.arguments else lambda focus, resource: ""  # noqa: ARG005

    def run(focus: Any, resource: Any) -> str | None:
        found, separator = values(focus, resource), between(focus, resource)
        texts = [value for value in found if isinstance(value, str)]
        is_sound = isinstance(separator, str) and texts and len(texts) == len(found)
        return separator.join(texts) if is_sound else None

    return Flow((Branch("string", run),))


def split(site: Site) -> Flow:
    """The parts of the string between the separators."""
    one, between = single(site.source), single(site.argument())

    def run(focus: Any, resource: Any) -> list[str]:
        value, separator = one(focus, resource), between(focus, resource)
        if not isinstance(value, str) or not isinstance(separator, str):
            return []
        return value.split(separator) if separator else list(value)

    return Flow((Branch("string", run, True),))


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


_CHARACTERS_MAX = 1_000_000  # of what replace() makes


def _replaced(text: str, part: str, substitute: str) -> str | None:
    if len(substitute) * (len(text) + 1) > _CHARACTERS_MAX:
        return None
    return text.replace(part, substitute)


ROWS: Mapping[str, Function] = {
    "contains": of_text("boolean", lambda value, part: part in value, 1),
    "endsWith": of_text("boolean", str.endswith, 1),
    "indexOf": of_text("integer", str.find, 1),
    "join": Function(0, 1, join),
    "length": of_text("integer", len),
    "lower": of_text("string", str.lower),
    "matches": Function(1, 1, matches),
    "replace": of_text("string", _replaced, 2),
    "replaceMatches": Function(2, 2, replace_matches),
    "split": Function(1, 1, split),
    "startsWith": of_text("boolean", str.startswith, 1),
    "substring": of_text("string", _substring, 0, 2, optional=1),
    "trim": of_text("string", str.strip),
    "upper": of_text("string", str.upper),
}
