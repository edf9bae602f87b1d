"""What is said about each kind of finding: what is wrong, and how to mend it.

In English and in Vietnamese. No text holds a value of the resource, other than a code where a code
is expected: a finding may go to a log, and a person's data may not.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.issue import Issue
from ehr_server.redact import without_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_+-]{0,31}")
_CODES_SHOWN = 12
_TYPOS_MAX = 3


def not_a_resource(place: str) -> Issue:
    return _issue(
        "structure",
        place,
        "A resource is a JSON object with a resourceType.",
        "Tài nguyên phải là một đối tượng JSON có resourceType.",
    )


def no_resource_type(place: str) -> Issue:
    return _issue(
        "required",
        place,
        'resourceType is missing: it says which type the resource has, such as "Patient".',
        'Thiếu resourceType: phần tử này cho biết loại tài nguyên, ví dụ "Patient".',
    )


def unknown_resource_type(place: str, name: object, types: Iterable[str]) -> Issue:
    shown = _shown(name, _NAME)
    meant, vi = _meant(name, types)
    return _issue(
        "structure",
        place,
        f"{shown or 'The value of resourceType'} is no resource type of FHIR R4.{meant}",
        f"{shown or 'Giá trị của resourceType'} không phải loại tài nguyên của FHIR R4.{vi}",
    )


def of_other_type(resource: object, expected: str | None) -> Issue | None:
    """That the resource is of another type than is expected here; None if it is not, or if its
    type is none at all, which is told otherwise."""
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if expected is None or name == expected or not isinstance(name, str):
        return None
    if name not in definitions().type_number:
        return None
    return other_resource_type(f"{name}.resourceType", name, expected)


def other_resource_type(place: str, name: str, expected: str) -> Issue:
    return _issue(
        "structure",
        place,
        f"The resource is of type {name}, but {expected} is expected here.",
        f"Tài nguyên thuộc loại {name}, trong khi ở đây cần {expected}.",
        "type",
    )


def profile_of_other_type(place: str, url: str, expected: str) -> Issue:
    return _issue(
        "structure",
        place,
        f"The profile {url} is of {expected}: claim one of this resource's type.",
        f"Hồ sơ {url} dành cho {expected}: hãy dùng hồ sơ của đúng loại tài nguyên này.",
        "type",
    )


def unknown_element(place: str, name: str, of: str, names: Iterable[str]) -> Issue:
    shown = _shown(name, _NAME)
    meant, vi = _meant(name, names)
    return _issue(
        "structure",
        f"{place}.{name}" if shown else place,
        f"{shown or 'This name'} is no element of {of}: leave it out, or use an extension.{meant}",
        f"{shown or 'Tên này'} không phải phần tử của {of}: hãy bỏ đi, hoặc dùng extension.{vi}",
        "unknown-element",
    )


def missing(place: str, name: str, shown: str, of: str) -> Issue:
    return _issue(
        "required",
        f"{place}.{name}",
        f"{shown} is missing: {of} must have it.",
        f"Thiếu {shown}: {of} bắt buộc phải có.",
        "min",
    )


def several_choices(place: str, names: Iterable[str]) -> Issue:
    listed = ", ".join(names)
    return _issue(
        "structure",
        place,
        f"Only one of these may be present: {listed}.",
        f"Chỉ được có một trong các phần tử: {listed}.",
        "choice",
    )


def not_a_list(place: str) -> Issue:
    return _issue(
        "structure",
        place,
        "This element can repeat, so it is a JSON array: put the value in [ ].",
        "Phần tử này có thể lặp lại nên phải là mảng JSON: hãy đặt giá trị trong [ ].",
        "structure",
    )


def not_single(place: str) -> Issue:
    return _issue(
        "structure",
        place,
        "This element does not repeat, so it is no JSON array: take off the [ ].",
        "Phần tử này không lặp lại nên không phải mảng JSON: hãy bỏ [ ].",
        "structure",
    )


def too_many(place: str, most: int) -> Issue:
    return _issue(
        "structure",
        place,
        f"At most {most} of this element are allowed.",
        f"Phần tử này chỉ được có tối đa {most} giá trị.",
        "max",
    )


def not_an_object(place: str, of: str) -> Issue:
    return _issue(
        "structure",
        place,
        f"A JSON object is expected here, with the elements of {of}.",
        f"Ở đây cần một đối tượng JSON với các phần tử của {of}.",
        "structure",
    )


def nothing_in_it(place: str) -> Issue:
    return _issue(
        "structure",
        place,
        "This is empty: null, [], {}, an empty string and an id alone are not allowed; leave the "
        "element out.",
        "Phần tử rỗng: không được dùng null, [], {}, chuỗi rỗng hay chỉ có id; hãy bỏ phần tử này.",
        "ele-1",
    )


def uneven_lists(place: str, name: str) -> Issue:
    return _issue(
        "structure",
        place,
        f"{name} and _{name} must have the same length, and at each place one that is not null.",
        f"{name} và _{name} phải dài bằng nhau, và mỗi vị trí phải có ít nhất một bên khác null.",
        "structure",
    )


def wrong_value(place: str, what: str, vi: str) -> Issue:
    return _issue("value", place, what, vi, "format")


def unknown_code(place: str, code: object, value_set: str, codes: Collection[str]) -> Issue:
    shown = _shown(code, _CODE)
    meant, vi = _meant(code, codes)
    if len(codes) <= _CODES_SHOWN:
        listed = ", ".join(sorted(codes))
        meant, vi = f" Allowed: {listed}.", f" Được phép: {listed}."
    return _issue(
        "code-invalid",
        place,
        f"{shown or 'The code'} is not in the required value set {value_set}.{meant}",
        f"{shown or 'Mã này'} không thuộc tập giá trị bắt buộc {value_set}.{vi}",
        "binding",
    )


def no_code_of(place: str, value_set: str, system: str, codes: Collection[str]) -> Issue:
    few = sorted(codes) if len(codes) <= _CODES_SHOWN else []
    listed = f": {', '.join(few)}" if few else ""
    return _issue(
        "code-invalid",
        place,
        f"A coding of {system} from the value set {value_set} is required here{listed}.",
        f"Cần một coding thuộc {system} trong tập giá trị {value_set}{listed}.",
        "binding",
    )


def wrong_reference(place: str, targets: tuple[str, ...]) -> Issue:
    of = targets[0] if targets else "Patient"
    allowed = f" of one of the types {', '.join(targets)}" if targets else ""
    allowed_vi = f" thuộc loại {', '.join(targets)}" if targets else ""
    return _issue(
        "value",
        place,
        f"A reference is a resource's address{allowed}, such as {of}/123, an absolute URL, a "
        f"urn:uuid: of the same Bundle, {of}?identifier=... in a transaction, or #id of a "
        "contained resource.",
        f"Tham chiếu là địa chỉ của một tài nguyên{allowed_vi}, ví dụ {of}/123, URL tuyệt đối, "
        f"urn:uuid: trong cùng Bundle, {of}?identifier=... trong transaction, hoặc #id của tài "
        "nguyên contained.",
        "target",
    )


def dangling_link(place: str) -> Issue:
    return _issue(
        "invariant",
        place,
        "This reference begins with #, but no contained resource has that id (ref-1).",
        "Tham chiếu bắt đầu bằng # nhưng không có tài nguyên contained nào mang id đó (ref-1).",
        "ref-1",
    )


def orphan(place: str) -> Issue:
    return _issue(
        "invariant",
        place,
        "A contained resource is referred to as #id from the resource around it, or refers to it "
        "with #; this one does neither (dom-3).",
        "Tài nguyên contained phải được tham chiếu bằng #id từ tài nguyên bao quanh, hoặc tham "
        "chiếu tới nó bằng #; tài nguyên này không có cả hai (dom-3).",
        "dom-3",
    )


def id_used_twice(place: str) -> Issue:
    return _issue(
        "structure",
        place,
        "Another contained resource has the same id.",
        "Một tài nguyên contained khác có cùng id.",
        "structure",
    )


def value_or_extensions(place: str) -> Issue:
    return _issue(
        "invariant",
        place,
        "An extension has either a value[x] or extensions within it: never both, never none "
        "(ext-1).",
        "Extension phải có value[x] hoặc các extension bên trong, không được có cả hai hay thiếu "
        "cả hai (ext-1).",
        "ext-1",
    )


def broken_rule(place: str, key: str, text: str, vi: str) -> Issue:
    return _issue("invariant", place, f"{text} ({key})", f"{vi} ({key})", key)


def _issue(code: str, place: str, text: str, vi: str, rule: str = "") -> Issue:
    return Issue("error", code, text, (place,), vi, rule)


def _shown(value: object, pattern: re.Pattern[str]) -> str:
    """The value in quotes if it can only be a name or a code and no person's number, else
    nothing."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        return ""
    return f'"{value}"' if without_numbers(value) == value else ""


def _meant(value: object, known: Iterable[str]) -> tuple[str, str]:
    """The question what was meant, in both languages; nothing where no known name is close."""
    if not isinstance(value, str):
        return "", ""
    # Comparing takes 20 µs a name, so only those are compared that have a chance.
    near = [
        name
        for name in known
        if abs(len(name) - len(value)) <= _TYPOS_MAX and name[:1].lower() == value[:1].lower()
    ]
    found = get_close_matches(value, near, 1)
    if not found:
        return "", ""
    return f' Did you mean "{found[0]}"?', f' Có phải ý bạn là "{found[0]}"?'
