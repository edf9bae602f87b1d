"""The formats of the primitive types: https://hl7.org/fhir/R4/datatypes.html#primitive.

The patterns are our own: anchored, ASCII, linear in time (the published ones for base64Binary and
code backtrack), and in the syntax that Python's `re` and Rust's `regex` share. Dates are real
days of the calendar, leap years included, which the published patterns do not say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Primitive:
    """`json` is how the value stands in JSON; `pattern` (strings) matches the whole text.

    `least` and `most` are the bounds of integers and, of strings, `most` the number of characters.
    """

    name: str
    json: Literal["boolean", "integer", "decimal", "string"]
    pattern: str | None = None
    least: int | None = None
    most: int | None = None


INT32_MAX = 2**31 - 1
STRING_MAX = 1024 * 1024  # characters, https://hl7.org/fhir/R4/datatypes.html#string

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # 0001 to 9999
_LEAP = "(?:(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26]))|(?:(?:0[48]|[2468][048]|[13579][26])00))"
_DAY = (
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8])"
)
_MONTH = "(?:0[1-9]|1[0-2])"
_FULL_DATE = f"(?:{_YEAR}-(?:{_DAY})|{_LEAP}-02-29)"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:[.][0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
# Tab, line feed and carriage return are the only control characters that XML can carry too.
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$"
_SPACE = r"[ \t\r\n]"
_SIXTH = f"(?:[A-Za-z0-9+/]{_SPACE}*)"  # six bits of base64
_NO_SPACE = r"^[^\x00-\x20]+$"


def _string(name: str, pattern: str, most: int | None = None) -> Primitive:
    return Primitive(name, "string", pattern, most=most)


_ALL = (
    Primitive("boolean", "boolean"),
    Primitive("integer", "integer", least=-INT32_MAX - 1, most=INT32_MAX),
    Primitive("unsignedInt", "integer", least=0, most=INT32_MAX),
    Primitive("positiveInt", "integer", least=1, most=INT32_MAX),
    Primitive("decimal", "decimal"),
    _string("string", _TEXT, STRING_MAX),
    _string("markdown", _TEXT, STRING_MAX),
    _string("xhtml", _TEXT),
    _string("code", r"^[^\x00-\x20]+(?: [^\x00-\x20]+)*$"),
    _string("id", "^[A-Za-z0-9.-]{1,64}$"),
    _string("uri", _NO_SPACE),
    _string("url", _NO_SPACE),
    _string("canonical", _NO_SPACE),
    _string("oid", "^urn:oid:[0-2](?:[.](?:0|[1-9][0-9]*))+$"),
    _string("uuid", "^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    _string(
        "base64Binary",
        f"^{_SPACE}*(?:{_SIXTH}{{4}})*"
        f"(?:{_SIXTH}{{4}}|{_SIXTH}{{2}}(?:={_SPACE}*){{2}}|{_SIXTH}{{3}}={_SPACE}*)$",
    ),
    _string("date", f"^(?:{_YEAR}(?:-{_MONTH})?|{_FULL_DATE})$"),
    _string("dateTime", f"^(?:{_YEAR}(?:-{_MONTH})?|{_FULL_DATE}(?:T{_TIME}{_ZONE})?)$"),
    _string("instant", f"^{_FULL_DATE}T{_TIME}{_ZONE}$"),
    _string("time", f"^{_TIME}$"),
)

PRIMITIVES: Mapping[str, Primitive] = MappingProxyType({one.name: one for one in _ALL})
"""The twenty primitive types by name."""
