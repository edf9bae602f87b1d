"""What a value set is made of, as plain data that membership and expansion both walk.

https://hl7.org/fhir/R4/valueset.html#compositions. A supplied expansion counts only where there is
no composition: https://hl7.org/fhir/R4/valueset.html#expansion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unprocessable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """One include or exclude: the concepts of `system` that are `listed` or that `filters` select
    (all, if there is neither), and that are in every one of `value_sets`. `system` "" means: the
    codes of the value sets, whatever their system.
    """

    system: str = ""
    version: str = ""
    listed: tuple[Mapping[str, Any], ...] = ()
    filters: tuple[Mapping[str, Any], ...] = ()
    value_sets: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it takes every code of its system."""
        return not (self.listed or self.filters)

    @property
    def canonical(self) -> str:
        """The system, with its version if one is asked for."""
        return f"{self.system}|{self.version}" if self.version else self.system


@dataclass(frozen=True, slots=True)
class Composition:
    """Everything in a value set is in an include and in no exclude."""

    url: str
    include: tuple[Part, ...]
    exclude: tuple[Part, ...] = ()
    has_inactive: bool = True


def composition(value_set: Mapping[str, Any]) -> Composition:
    """The composition of a ValueSet. Raises `Unprocessable` for one that holds nothing."""
    url = value_set.get("url", "")
    compose = value_set.get("compose")
    if compose is not None:
        return Composition(
            url,
            tuple(_parts(url, compose, "include")),
            tuple(_parts(url, compose, "exclude")),
            compose.get("inactive") is not False,
        )
    if "expansion" not in value_set:
        raise _faulty(url, "neither compose nor expansion", "không có compose lẫn expansion")
    return Composition(url, tuple(_expanded(value_set["expansion"])))


def listed(url: str, system: str, codes: frozenset[str]) -> Composition:
    """The composition of codes of one system."""
    return Composition(url, (Part(system, listed=tuple({"code": one} for one in sorted(codes))),))


def _parts(url: str, compose: Mapping[str, Any], name: str) -> Iterator[Part]:
    for one in compose.get(name, ()):
        part = Part(
            one.get("system", ""),
            one.get("version", ""),
            tuple(concept for concept in one.get("concept", ()) if "code" in concept),
            tuple(one.get("filter", ())),
            tuple(one.get("valueSet", ())),
        )
        if not part.system and (not part.value_sets or not part.is_whole):
            raise _faulty(url, f"an {name} without a system", f"một {name} không có system")
        if part.listed and part.filters:
            raise _faulty(
                url,
                f"an {name} with both codes and filters",
                f"một {name} vừa có mã vừa có bộ lọc",
            )
        yield part


def _expanded(expansion: Mapping[str, Any]) -> Iterator[Part]:
    by_system: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    waiting = list(reversed(expansion.get("contains", ())))
    while waiting:
        one = waiting.pop()
        if "code" in one and not one.get("abstract"):
            key = (one.get("system", ""), one.get("version", ""))
            by_system.setdefault(key, []).append(one)
        waiting.extend(reversed(one.get("contains", ())))
    for (system, version), concepts in by_system.items():
        yield Part(system, version, tuple(concepts))


def _faulty(url: str, text: str, vi: str) -> Unprocessable:
    return Unprocessable(f"The value set {url} has {text}.", vi=f"Bộ giá trị {url} có lỗi: {vi}.")
