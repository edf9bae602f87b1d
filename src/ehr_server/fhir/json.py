"""The one door for JSON: bytes to values and back, every decimal kept as it was sent.

https://hl7.org/fhir/R4/json.html. Decimals are `decimal.Decimal`, since their precision is part
of their value (https://hl7.org/fhir/R4/datatypes.html#decimal): `107.50` stays `107.50`.
"""

import re
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, cast

import jiter
import orjson

from ehr_server.errors import Invalid
from ehr_server.redact import without_numbers

DEPTH_MAX = 100

_BOM = b"\xef\xbb\xbf"  # RFC 8259, 8.1: never to be sent, and may be ignored
_KEY = re.compile('".*"', re.DOTALL)  # one that stands twice, quoted in an error
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def read(data: bytes, depth_max: int = DEPTH_MAX) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `Invalid` for what is not JSON, and for what JSON lets pass but a record cannot keep:
    a key twice in one object, NUL and lone surrogates, NaN, nesting over `depth_max`.
    """
    try:
        value = jiter.from_json(
            data.removeprefix(_BOM),
            allow_inf_nan=False,
            catch_duplicate_keys=True,
            float_mode="decimal",
        )
    except ValueError as error:
        why = _KEY.sub(lambda key: without_numbers(key[0]), str(error))
        raise Invalid(
            f"The body is not valid JSON: {why}", vi=f"Nội dung không phải JSON hợp lệ: {why}"
        ) from None
    if b"\\u0000" in data and _NUL.search(data):
        raise Invalid(
            "A string holds the character NUL (\\u0000), which FHIR does not allow.",
            vi="Chuỗi ký tự chứa NUL (\\u0000), FHIR không cho phép.",
        )
    if data.count(b"{") + data.count(b"[") > depth_max and _depth(value) > depth_max:
        raise Invalid(
            f"The body is nested more than {depth_max} levels deep.",
            vi=f"Nội dung lồng nhau quá {depth_max} tầng.",
        )
    return value


def read_stored(content: bytes) -> Any:
    """The value of what `read` has let pass before, with a Bundle around it perhaps."""
    return jiter.from_json(content, float_mode="decimal")


def write(value: Any) -> bytes:
    """The value as compact JSON in UTF-8.

    Raises `Invalid` for a whole number beyond 64 bits.
    """
    return _dumped(value, _number)


def write_pretty(value: Any) -> bytes:
    """The value as JSON for people: two spaces of indent."""
    return orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2)


def write_sorted(value: Any) -> bytes:
    """The value with the keys of its objects in order: equal for what means the same."""
    return orjson.dumps(value, default=_number, option=orjson.OPT_SORT_KEYS)


def canonical(data: bytes, without: Collection[str] = ()) -> bytes:
    """The canonical form of the resource in a JSON text that `read` has let pass, with these of its
    properties left out: no blanks, the properties of each object in order.

    https://hl7.org/fhir/R4/json.html#canonical. What is not said there: strings are escaped no more
    than they must be (RFC 8785, 3.2.2.2), and a decimal stands digit for digit as it was sent, as
    its precision is part of its value; RFC 8785 would make 107.5 of 107.50. Raises as `write`.
    """
    value = jiter.from_json(data.removeprefix(_BOM), float_mode="lossless-float")
    left = {name: one for name, one in value.items() if name not in without}
    return _dumped(left, _literal, orjson.OPT_SORT_KEYS)


# A JSON text that stands for itself inside a value to be written.
raw: Callable[[bytes], object] = orjson.Fragment

# What orjson's own reader is for: texts that we wrote ourselves and hold no decimals.
read_own: Callable[[bytes | str], Any] = orjson.loads


def _dumped(value: Any, default: Callable[[object], object], option: int | None = None) -> bytes:
    try:
        return orjson.dumps(value, default=default, option=option)
    except TypeError as error:
        if "64-bit" in str(error):
            raise Invalid(
                "A whole number is too large: at most 18 digits.",
                vi="Số nguyên quá lớn: tối đa 18 chữ số.",
            ) from None
        raise


def _literal(value: object) -> orjson.Fragment:
    """A number in the very digits that stood in the text."""
    if isinstance(value, jiter.LosslessFloat):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(_decimal(value).encode())
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


def _decimal(value: Decimal) -> str:
    """The number with the precision it has; Python alone would write 0.00000012 as 1.2E-7."""
    text = str(value)
    if "E-" in text and value.adjusted() > -20:
        return format(value, "f")
    return text


def _depth(value: Any) -> int:
    depth = 0
    level: list[Any] = [value]
    while level:
        depth += 1
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else cast(list[Any], node))
            if type(child) is dict or type(child) is list
        ]
    return depth
