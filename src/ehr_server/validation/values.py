"""Primitive values, one by one: https://hl7.org/fhir/R4/datatypes.html#primitive."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from ehr_server.definitions import PRIMITIVES, Primitive
from ehr_server.issue import Issue
from ehr_server.patterns import matches
from ehr_server.validation import messages, narrative

INT64_MAX = 2**63 - 1
EXPONENT_MAX = 307  # beyond that an index cannot hold the number

_JSON = {
    "string": ("a JSON string", "chuỗi JSON"),
    "boolean": ("true or false, without quotes", "true hoặc false, không có dấu ngoặc kép"),
    "integer": ("a JSON number without a fraction", "số nguyên JSON, không có phần thập phân"),
    "decimal": ("a JSON number, without quotes", "số JSON, không có dấu ngoặc kép"),
}
_FORMAT = {
    "string": ("text without control characters", "văn bản không có ký tự điều khiển"),
    "markdown": ("text without control characters", "văn bản không có ký tự điều khiển"),
    "code": ("a code without spaces around it or two in a row", "mã không có khoảng trắng thừa"),
    "id": (
        "1 to 64 characters: letters A-Z and a-z, digits, hyphens, full stops",
        "1 đến 64 ký tự: chữ A-Z và a-z, chữ số, dấu gạch nối, dấu chấm",
    ),
    "uri": ("a URI without spaces", "URI không có khoảng trắng"),
    "url": ("a URL without spaces", "URL không có khoảng trắng"),
    "canonical": ("a canonical URL without spaces", "URL không có khoảng trắng"),
    "oid": ("an OID such as urn:oid:1.2.3", "OID, ví dụ urn:oid:1.2.3"),
    "uuid": (
        "a UUID in lower case such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        "UUID viết thường, ví dụ urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    ),
    "base64Binary": ("base64 in whole groups of four", "base64 đủ từng nhóm bốn ký tự"),
    "date": (
        "a day of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
        "ngày có thật: YYYY, YYYY-MM hoặc YYYY-MM-DD",
    ),
    "dateTime": (
        "a real day, and with a time also seconds and a zone: YYYY-MM-DDThh:mm:ss+07:00",
        "ngày có thật; nếu có giờ thì phải có giây và múi giờ: YYYY-MM-DDThh:mm:ss+07:00",
    ),
    "instant": (
        "a moment with seconds and a zone: YYYY-MM-DDThh:mm:ss.sss+07:00",
        "thời điểm có giây và múi giờ: YYYY-MM-DDThh:mm:ss.sss+07:00",
    ),
    "time": ("a time of day: hh:mm:ss", "giờ trong ngày: hh:mm:ss"),
    "xhtml": (
        "a <div> of the XHTML namespace with formatting, links and images alone: no scripts, forms "
        "or events",
        "thẻ <div> thuộc không gian tên XHTML, chỉ có định dạng, liên kết và hình ảnh: không có "
        "script, biểu mẫu hay sự kiện",
    ),
}


def finding(value: Any, type_name: str, place: str) -> Issue | None:
    """What is wrong with a value as one of the primitive type; None if it is fine."""
    primitive = PRIMITIVES[type_name]
    if value is None or value == "":
        return messages.nothing_in_it(place)
    if not _is_json(value, primitive):
        wanted, vi = _JSON[primitive.json]
        return messages.wrong_value(
            place,
            f"A value of type {type_name} is {wanted}.",
            f"Kiểu {type_name} phải là {vi}.",
        )
    match primitive.json:
        case "string":
            return _of_text(value, primitive, place)
        case "integer":
            return _of_integer(int(value), primitive, place)
        case "decimal":
            return _of_decimal(value, place)
        case _:
            return None


def _is_json(value: Any, primitive: Primitive) -> bool:
    kind = type(value)
    match primitive.json:
        case "string":
            return kind is str
        case "boolean":
            return kind is bool
        case "integer":  # a Decimal is one if it was sent without point and exponent
            return kind is int or (kind is Decimal and str(value).lstrip("-").isdigit())
        case _:
            return kind is int or kind is Decimal or kind is float


def _of_text(value: str, primitive: Primitive, place: str) -> Issue | None:
    if primitive.most is not None and len(value) > primitive.most:
        return messages.wrong_value(
            place,
            f"A value of type {primitive.name} has at most {primitive.most} characters.",
            f"Kiểu {primitive.name} có tối đa {primitive.most} ký tự.",
        )
    pattern = narrative.SAFE if primitive.name == "xhtml" else primitive.pattern
    if pattern is None or matches(pattern, value):
        return None
    wanted, vi = _FORMAT[primitive.name]
    return messages.wrong_value(
        place,
        f"A value of type {primitive.name} is {wanted}.",
        f"Kiểu {primitive.name} phải là {vi}.",
    )


def _of_integer(value: int, primitive: Primitive, place: str) -> Issue | None:
    least, most = primitive.least or 0, primitive.most or 0
    if least <= value <= most:
        return None
    return messages.wrong_value(
        place,
        f"A value of type {primitive.name} lies between {least} and {most}.",
        f"Kiểu {primitive.name} phải từ {least} đến {most}.",
    )


def _of_decimal(value: int | float | Decimal, place: str) -> Issue | None:
    if type(value) is int:
        if -INT64_MAX <= value <= INT64_MAX:
            return None
    elif type(value) is Decimal:
        if value.is_finite() and value.adjusted() <= EXPONENT_MAX:
            return None
    elif math.isfinite(value):
        return None
    return messages.wrong_value(
        place,
        "The number is too large: a whole number has at most 18 digits, any other less than "
        f"{EXPONENT_MAX + 1} before the point.",
        "Số quá lớn: số nguyên có tối đa 18 chữ số, số khác có ít hơn "
        f"{EXPONENT_MAX + 1} chữ số trước dấu chấm.",
    )
