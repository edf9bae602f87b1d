"""What a kick-off asks for, whichever form it came in. Pure.

https://github.com/smart-on-fhir/bulk-import/blob/master/import.md#body-json-fields; `mode` is
Microsoft's. Ours are `manifest`, `ids`, `match`, `dangling` and `stopOnError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ehr_server.errors import Invalid
from ehr_server.intake.wish import DANGLINGS, IDS, MATCHES, Wish
from ehr_server.redact import without_numbers

INPUTS_MAX = 10_000
_FORMATS = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson", "ndjson")
_STORAGES = ("https", "http", "file")
_MODES = ("InitialLoad", "IncrementalLoad")  # an import is both, into whatever is there
_KNOWN = ("inputFormat", "inputSource", "storageDetail", "input", "manifest", "mode", "ids",
          "match", "dangling", "stopOnError")  # fmt: skip
_TRUTHS = {True: True, False: False, "true": True, "false": False}

Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, slots=True)
class Asked:
    """The addresses of files and of manifests, and how to import."""

    urls: tuple[str, ...]
    manifests: tuple[str, ...]
    wish: Wish


def asked(body: Mapping[str, Any], *, is_lenient: bool) -> Asked:
    """What a body asks for. Raises `Invalid`, which names the field."""
    fields = _of_parameters(body) if body.get("resourceType") == "Parameters" else dict(body)
    unknown = sorted(fields.keys() - set(_KNOWN))
    if unknown and not is_lenient:
        told = without_numbers(unknown[0])[:64]
        known = ", ".join(_KNOWN)
        raise _invalid(told, f"is not known here; known are: {known}", f"không có; gồm: {known}")
    _one_of(fields, "inputFormat", _FORMATS, _FORMATS[0])
    _one_of(fields, "mode", _MODES, _MODES[1])
    storage = fields.get("storageDetail", {})
    if not isinstance(storage, dict):
        raise _invalid("storageDetail", "is an object with a type", "là đối tượng có type")
    _one_of(storage, "type", _STORAGES, "https")
    urls = tuple(_url(one) for one in _inputs(fields))
    manifests = (_text(fields, "manifest"),) if "manifest" in fields else ()
    if not urls and not manifests:
        raise _invalid(
            "input",
            "names what to import, each with a url; or name a manifest, or send the NDJSON itself",
            "nêu các tệp cần nhập, mỗi tệp có url; hoặc nêu manifest, hoặc gửi chính NDJSON",
        )
    return Asked(urls, manifests, wish(fields))


def wish(fields: Mapping[str, Any]) -> Wish:
    """How to import. Raises `Invalid`."""
    stops = fields.get("stopOnError", False)
    if not isinstance(stops, bool | str) or stops not in _TRUTHS:
        raise _invalid("stopOnError", "is true or false", "là true hoặc false")
    return Wish(
        _one_of(fields, "ids", IDS, IDS[0]),
        _one_of(fields, "match", MATCHES, MATCHES[0]),
        _one_of(fields, "dangling", DANGLINGS, DANGLINGS[0]),
        _TRUTHS[stops],
        _text(fields, "inputSource") if "inputSource" in fields else "",
    )


def _inputs(fields: Mapping[str, Any]) -> Sequence[Any]:
    found = fields.get("input", [])
    if not isinstance(found, list) or len(found) > INPUTS_MAX:
        raise _invalid(
            "input",
            f"is a list of at most {INPUTS_MAX} objects with type and url",
            f"là danh sách tối đa {INPUTS_MAX} đối tượng có type và url",
        )
    return found


def _url(one: Any) -> str:
    url = one.get("url") if isinstance(one, dict) else None
    if not isinstance(url, str) or not url:
        raise _invalid("input.url", "is an address or a path", "là địa chỉ hoặc đường dẫn")
    return url


def _of_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a Parameters resource holds; `input` may come several times."""
    found: dict[str, Any] = {}
    several = body.get("parameter", [])
    for one in several if isinstance(several, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise _invalid("Parameters.parameter", "has a name", "phải có name")
        value = _value(one)
        if name == "input":
            found.setdefault("input", []).append(value)
        elif name in found:
            raise _invalid(without_numbers(name)[:64], "is given twice", "được gửi nhiều lần")
        else:
            found[name] = value
    return found


def _value(one: Mapping[str, Any]) -> Any:
    parts = one.get("part")
    if isinstance(parts, list):
        return {
            part["name"]: _value(part)
            for part in parts
            if isinstance(part, dict) and isinstance(part.get("name"), str)
        }
    return next((value for name, value in one.items() if name.startswith("value")), None)


def _one_of(
    fields: Mapping[str, Any], name: str, choices: Sequence[Choice], otherwise: Choice
) -> Choice:
    value = fields.get(name, otherwise)
    for one in choices:
        if value == one:
            return one
    listed = ", ".join(choices)
    raise _invalid(name, f"is one of {listed}", f"là một trong {listed}")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value:
        raise _invalid(name, "is a text", "là chuỗi ký tự")
    return value


def _invalid(name: str, is_what: str, vi: str) -> Invalid:
    return Invalid(f"{name} {is_what}.", vi=f"{name} {vi}.", expression=(name,))
