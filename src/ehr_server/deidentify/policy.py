"""The policies: what each leaves of a resource, as data, one JSON file a policy.

Some come with the server (`policies/` beside this file), and a site has its own in a folder of its
own. A file says everything that differs between policies; what no policy may keep unless it says so
element by element is settled in `plan`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from ehr_server.definitions import definitions
from ehr_server.deidentify.deidentify import Deidentify, nobody
from ehr_server.deidentify.plan import ACTIONS, Plans
from ehr_server.errors import Invalid
from ehr_server.fhir import json

POLICY_TAG = "http://ehr-server.org/fhir/CodeSystem/deidentification-policy"
"""The system of the tag (`meta.tag`) that names the policy."""

_SHIPPED = Path(__file__).with_name("policies")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}").fullmatch
_REMEMBERED_MAX = 4096  # systems and urls of a policy whose answer is remembered


@dataclass(frozen=True)
class Policy:
    """What is left of a resource. The fields are those of the file, told in
    docs/explanation/deidentification.md."""

    name: str
    label: Literal["PSEUDED", "ANONYED"]
    resources: frozenset[str]
    dates: Literal["shift", "year"]
    days_max: int
    weekday: Literal["keep", "change"]
    times: Literal["keep", "cut"]
    age_max: int
    identifiers: Literal["hash", "drop"]
    addresses: Literal["province", "country", "drop"]
    displays: Literal["keep", "drop"]
    systems: tuple[str, ...]
    systems_dropped: tuple[str, ...]
    canonicals: tuple[str, ...]
    extensions: frozenset[str]
    units: frozenset[str]
    codes: Mapping[str, int]
    left_out: Mapping[str, frozenset[str]]
    elements: Mapping[str, str]
    _public: dict[Any, bool] = field(default_factory=dict, compare=False, repr=False)

    def of(self, key: bytes, *, year: int, may_tell: Callable[[str], bool] = nobody) -> Deidentify:
        """The function of one export.

        `key`: 32 bytes, secret; equal keys give equal pseudonyms. `year`: of the export's
        transaction time, by which great ages are counted. `may_tell` is asked for each reason of
        `sensitivity.is_restricted` whether such resources are exported; by default none are.
        """
        return Deidentify(self, key, year, may_tell)

    @cached_property
    def plans(self) -> Plans:
        """The rules of every element, compiled once."""
        return Plans(self)

    def is_public(self, system: Any) -> bool:
        """Whether the codes of a system are known to say nothing of a person."""
        found = self._public.get(system)
        if found is None:
            found = (
                isinstance(system, str)
                and system.startswith(self.systems)
                and not system.startswith(self.systems_dropped)
            )
            if len(self._public) < _REMEMBERED_MAX and isinstance(system, str):
                self._public[system] = found
        return found

    def is_canonical(self, url: Any) -> bool:
        """Whether a canonical url is one that everybody knows."""
        return isinstance(url, str) and url.startswith(self.canonicals) and "?" not in url


def policies(folder: Path | None = None) -> tuple[str, ...]:
    """The names of all policies there are, sorted; `folder` is the site's own."""
    return tuple(sorted({path.stem for path in _files(folder) if _NAME(path.stem)}))


def policy(name: str, folder: Path | None = None) -> Policy:
    """The policy of a name; one of the site's own goes before one that came with the server.

    Raises `Invalid` for a name that is not known, and for a file that is no policy: the text tells
    which place in it is wrong.
    """
    for path in _files(folder) if _NAME(name) else ():
        if path.stem == name:
            return _read(path)
    known = ", ".join(policies(folder))
    raise Invalid(
        f"There is no de-identification policy of this name. There are: {known}.",
        vi=f"Không có chính sách khử định danh với tên này. Hiện có: {known}.",
    )


def _files(folder: Path | None) -> Iterator[Path]:
    for place in (folder, _SHIPPED):
        if place is not None and place.is_dir():
            yield from sorted(place.glob("*.json"))


def _read(path: Path) -> Policy:
    try:
        told = json.read(path.read_bytes())
    except Invalid as error:
        raise _wrong(path.stem, "the file", error.text) from None
    if not isinstance(told, dict):
        raise _wrong(path.stem, "the file", "must hold one JSON object")
    values = {name: _value(path.stem, name, told) for name in _FIELDS}
    for name in told:
        if name not in _FIELDS and name not in _NOTES:
            raise _wrong(path.stem, name, "is not known")
    return Policy(name=path.stem, **values)


def _value(policy_name: str, name: str, told: Mapping[str, Any]) -> Any:
    if name not in told:
        raise _wrong(policy_name, name, "is missing")
    try:
        return _FIELDS[name](told[name])
    except ValueError as error:
        raise _wrong(policy_name, name, str(error)) from None


def _wrong(policy_name: str, place: str, why: str) -> Invalid:
    return Invalid(
        f"The de-identification policy {policy_name} is not usable: {place}: {why}.",
        vi=f"Không dùng được chính sách khử định danh {policy_name}: {place}: {why}.",
    )


def _one_of(*words: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return check


def _number(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return check


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("must be a list of texts, none of them empty")
    return tuple(cast("list[str]", value))


def _resources(value: Any) -> frozenset[str]:
    if value == "all":
        return frozenset(definitions().resource_types)
    for name in _texts(value):
        if name not in definitions().type_number:
            raise ValueError(f"{name} is no resource type of R4")
    return frozenset(value)


def _codes(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("must be an object: code system to a number of characters")
    return {system: _number(1, 64)(length) for system, length in value.items()}


def _left_out(value: Any) -> dict[str, frozenset[str]]:
    if not isinstance(value, dict):
        raise ValueError("must be an object: code system to a list of codes")
    return {system: frozenset(_texts(codes)) for system, codes in value.items()}


def _elements(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("must be an object: path to what becomes of it")
    for path, action in value.items():
        of, _, name = path.rpartition(".")
        found = definitions().types.get(of)
        names = (
            ()
            if found is None
            else {one for e in found.elements.values() for one in (e.name, *dict(e.json_names()))}
        )
        if name not in names:
            raise ValueError(f"{path} is no element of R4, named as Patient.contact.name is")
        if action not in ACTIONS:
            raise ValueError(f"{path} must be one of {', '.join(ACTIONS)}")
    return dict(value)


_NOTES = ("title", "title_vi", "description")  # for readers of the file
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "label": _one_of("PSEUDED", "ANONYED"),
    "resources": _resources,
    "dates": _one_of("shift", "year"),
    "days_max": _number(7, 3660),
    "weekday": _one_of("keep", "change"),
    "times": _one_of("keep", "cut"),
    "age_max": _number(1, 150),
    "identifiers": _one_of("hash", "drop"),
    "addresses": _one_of("province", "country", "drop"),
    "displays": _one_of("keep", "drop"),
    "systems": _texts,
    "systems_dropped": _texts,
    "canonicals": _texts,
    "extensions": lambda value: frozenset(_texts(value)),
    "units": lambda value: frozenset(_texts(value)),
    "codes": _codes,
    "left_out": _left_out,
    "elements": _elements,
}
