"""The shapes a reference can have: https://hl7.org/fhir/R4/references.html#literal."""

from functools import cache

from ehr_server.definitions import definitions
from ehr_server.patterns import matches

_ID = "[A-Za-z0-9.-]{1,64}"
_ABSOLUTE = r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20]+"
_LOCAL = f"#(?:{_ID})?"


@cache
def pattern(targets: tuple[str, ...], is_local: bool) -> str:
    """What `Reference.reference` may be where it may point to `targets` (none: to any type).

    `Type/id`, with or without `/_history/version`; an absolute URI (`urn:uuid:` too); in a
    transaction also a conditional reference `Type?criteria`
    (https://hl7.org/fhir/R4/http.html#trules); and, where there are contained resources to point
    to (`is_local`), `#id`. Anchored, the same in Python and Rust.
    """
    types = "|".join(targets or definitions().resource_types)
    relative = rf"(?:{types})(?:/{_ID}(?:/_history/{_ID})?|\?[^\x00-\x20]+)"
    shapes = [relative, _ABSOLUTE, *([_LOCAL] if is_local else ())]
    return f"^(?:{'|'.join(shapes)})$"


def is_sound(reference: str, targets: tuple[str, ...]) -> bool:
    """Whether the text has one of the shapes; whether a `#id` leads anywhere is not asked."""
    return matches(pattern(targets, is_local=True), reference)
