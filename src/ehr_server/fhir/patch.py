"""Patches of JSON: a list of operations, or an object to merge. Pure.

JSON Patch is https://www.rfc-editor.org/rfc/rfc6902, which the standard asks for
(https://hl7.org/fhir/R4/http.html#patch); merge patch is https://www.rfc-editor.org/rfc/rfc7396,
which clients send as plain JSON. Neither tells what was in the resource: a refusal names the
operation and its path, never a value.
"""

from collections.abc import Callable
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from ehr_server.errors import Invalid, TooLarge, Unprocessable
from ehr_server.fhir import json
from ehr_server.redact import without_numbers

# A resource to the resource as it shall be. The one that is given may be changed on the way.
Patch = Callable[[dict[str, Any]], dict[str, Any]]

OPERATIONS_MAX = 1000
_COPIED_BYTES_MAX = 1 << 24  # by all operations of a patch: copies of copies grow without end
_SHOWN_MAX = 200  # characters of a path that are told


def json_patch(operations: Any) -> Patch:
    """The patch of a list of operations such as `{"op": "add", "path": "/active", "value": true}`.

    Raises `Invalid` for what is no such list; so may the patch itself, for an operation that is
    malformed. The patch raises `Unprocessable` for a path that leads nowhere and a `test` that
    fails, `TooLarge` for copies without end.
    """
    if not isinstance(operations, list) or not operations:
        raise Invalid(
            "A JSON Patch is a list of operations, one at least.",
            vi="JSON Patch là một danh sách gồm ít nhất một thao tác.",
        )
    refuse_too_many(operations)

    def patch(resource: dict[str, Any]) -> dict[str, Any]:
        copied = 0
        for at, operation in enumerate(operations):
            if isinstance(operation, dict) and operation.get("op") == "copy":
                copied += len(json.write(resource))
                _refuse_growth(copied)
            resource = _applied(resource, at, operation)
        return resource_left(resource)

    return patch


def merge_patch(wanted: dict[str, Any]) -> Patch:
    """The patch that puts the members of an object in the place of those that are there; a member
    that is null is taken away, objects are merged, lists replaced."""
    return lambda resource: _merged(resource, wanted)


def refuse_too_many(operations: list[Any]) -> None:
    """Raises `TooLarge` for more operations than a patch may have."""
    if len(operations) > OPERATIONS_MAX:
        raise TooLarge(
            f"A patch holds at most {OPERATIONS_MAX} operations; send a PUT instead.",
            vi=f"Mỗi bản vá tối đa {OPERATIONS_MAX} thao tác; hãy dùng PUT.",
        )


def resource_left(value: Any) -> dict[str, Any]:
    """What a patch leaves, which must be an object. Raises `Unprocessable`."""
    if not isinstance(value, dict):
        raise Unprocessable(
            "The patch leaves no resource: what it puts in its place is no object.",
            vi="Bản vá không để lại tài nguyên: giá trị thay thế không phải đối tượng.",
        )
    return value


def _applied(resource: Any, at: int, operation: Any) -> Any:
    named = _named(at, operation)
    try:
        return JsonPatch([operation]).apply(resource, in_place=True)
    except JsonPatchTestFailed:
        raise Unprocessable(
            f"{named}: the test fails, another value stands there; nothing was changed.",
            vi=f"{named}: phép thử không đạt vì giá trị ở đó khác; chưa có gì thay đổi.",
        ) from None
    except InvalidJsonPatch:
        raise Invalid(
            f"{named}: this is no operation of JSON Patch (RFC 6902): an object with op, path and "
            "what the op needs.",
            vi=f"{named}: không phải thao tác JSON Patch (RFC 6902): cần op, path và các phần kèm.",
        ) from None
    except (JsonPatchException, JsonPointerException):
        raise Unprocessable(
            f"{named}: the path leads nowhere in the resource; read it again and correct the path.",
            vi=f"{named}: đường dẫn không có trong tài nguyên; xin đọc lại và sửa đường dẫn.",
        ) from None


def _named(at: int, operation: Any) -> str:
    parts = (operation.get("op"), operation.get("path")) if isinstance(operation, dict) else ()
    shown = without_numbers(" ".join(part for part in parts if isinstance(part, str)))
    return f"Patch[{at}] {shown[:_SHOWN_MAX]}".strip()


def _refuse_growth(copied: int) -> None:
    if copied > _COPIED_BYTES_MAX:
        raise TooLarge(
            "The patch copies too much; send a PUT instead.",
            vi="Bản vá sao chép quá nhiều; hãy dùng PUT.",
        )


def _merged(value: Any, wanted: Any) -> Any:
    if not isinstance(wanted, dict):
        return wanted
    merged = dict(value) if isinstance(value, dict) else {}
    for name, inner in wanted.items():
        if inner is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), inner)
    return merged
