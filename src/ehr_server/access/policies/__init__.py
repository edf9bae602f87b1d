"""What callers may do, by the name of a policy: data, of this folder and of a site's own.

A policy is a YAML file, the name of the file its name:

    about: for whom it is, in words
    facility: required        # the caller must be registered for an Organization
    patient: required         # ... for a Patient: all that it may is of that record
    consent: heeded           # what a person's Consents say counts; none: it does not
    restricted: [HIV]         # reasons of restricted data that need no Consent; or all
    purposes: [TREAT, BTG]    # what data may be asked for; the first, where a request names none
    may:                      # what is not here may not be
      - of: Task              # a type, a name of sets.yaml, `records` or `*`; or a list of these
        but: AuditEvent       # of these not
        do: rs                # create, read, update, delete, search, as in a scope
        where: owner=Organization/{facility}   # what a resource must meet, as a search
        own: true             # to change it: the facility that made it, alone
        by: export            # not by single requests
    operations: [terminology, Patient-everything]   # or all

Where a rule names a type itself, those that name a set with the type in it do not count for the
same letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

import yaml

from ehr_server.access.scopes import ALL, LETTERS
from ehr_server.definitions import definitions
from ehr_server.sensitivity import reasons
from ehr_server.setting import SettingError

_SETS = "sets"
_FOLDER = files(__package__)
_KEYS = {
    "about", "facility", "patient", "consent", "restricted", "purposes", "may", "operations",
}  # fmt: skip
_RULE_KEYS = {"of", "but", "do", "where", "own", "by"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of what a policy allows: `letters` of `cruds` on the `types`, those that it `named`
    itself among them."""

    types: frozenset[str]
    named: frozenset[str]
    letters: frozenset[str]
    where: tuple[tuple[str, str], ...] = ()
    is_own: bool = False
    by_export: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, checked. `operations` are the last parts of their names; None: all."""

    name: str
    about: str
    rules: tuple[Rule, ...]
    operations: frozenset[str] | None
    needs_facility: bool
    needs_patient: bool
    heeds_consent: bool
    restricted: frozenset[str]
    purposes: tuple[str, ...]
    folder: str = ""  # of a site's own policies, in which it was looked for

    def of(self, type_name: str, letter: str) -> tuple[Rule, ...]:
        """The rules that say what the letter may be done to."""
        found = [one for one in self.rules if letter in one.letters and type_name in one.types]
        named = [one for one in found if type_name in one.named]
        return tuple(named or found)

    @property
    def is_whole(self) -> bool:
        """Whether it is of those for whom nothing of the server is closed."""
        return self.operations is None

    def has(self, operation: str) -> bool:
        """Whether it allows an operation, named by the last part of its canonical address."""
        return self.operations is None or operation in self.operations


def policies(folder: Path | None) -> Mapping[str, Policy]:
    """All there are, a site's own in place of ours of the same name.

    Raises `SettingError` for a file that is no policy; it names the file, the place and the mend.
    """
    ours = {
        one.name.removesuffix(".yaml"): one.read_text("utf-8")
        for one in _FOLDER.iterdir()
        if one.name.endswith(".yaml") and one.name != f"{_SETS}.yaml"
    }
    found = sorted(folder.glob("*.yaml")) if folder is not None else ()
    own = {one.stem: one.read_text("utf-8") for one in found}
    kept = "" if folder is None else str(folder.absolute())
    return {
        name: replace(_policy(name, text), folder=kept) for name, text in {**ours, **own}.items()
    }


@lru_cache(maxsize=1)
def sets() -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
    """The names that stand for several types, and for several operations."""
    given = _given()
    inside = definitions().compartments["Patient"]
    types = {name: frozenset(some) for name, some in given["types"].items()}
    types["records"] = frozenset(("Patient", *(name for name, codes in inside.items() if codes)))
    types[ALL] = frozenset(definitions().resource_types)
    return types, {name: frozenset(some) for name, some in given["operations"].items()}


@lru_cache(maxsize=1)
def opt_in() -> frozenset[str]:
    """Purposes for which nothing is told of who has not allowed it."""
    return frozenset(_given()["opt-in"])


@lru_cache(maxsize=1)
def _given() -> Mapping[str, Any]:
    given: Mapping[str, Any] = yaml.safe_load(_FOLDER.joinpath(f"{_SETS}.yaml").read_text("utf-8"))
    return given


def _policy(name: str, text: str) -> Policy:
    try:
        given = yaml.safe_load(text)
        if not isinstance(given, dict):
            raise ValueError("must be a mapping")
        _known(given, _KEYS, "")
        return Policy(
            name,
            str(given.get("about", "")).strip(),
            tuple(_rule(one, at) for at, one in enumerate(given.get("may", ()))),
            _operations(given.get("operations", ())),
            _is(given, "facility", "required"),
            _is(given, "patient", "required"),
            _is(given, "consent", "heeded"),
            _restricted(given.get("restricted", ())),
            tuple(given.get("purposes", ("TREAT",))),
        )
    except (ValueError, TypeError, yaml.YAMLError) as fault:
        raise SettingError(f"The policy {name}: {fault}") from None


def _rule(given: Any, at: int) -> Rule:
    here = f"may[{at}]"
    if not isinstance(given, dict):
        raise ValueError(f"{here} must say `of` what and what to `do`")
    _known(given, _RULE_KEYS, f"{here}.")
    of = given.get("of", ())
    names: list[str] = [of] if isinstance(of, str) else list(of)
    types: set[str] = set()
    named: set[str] = set()
    for name in names:
        if name in sets()[0]:
            types |= sets()[0][name]
        elif name in definitions().type_number:
            types.add(name)
            named.add(name)
        else:
            raise ValueError(f"{here}.of: {name} is no type of FHIR R4 and no set of types")
    but = given.get("but", ())
    for name in [but] if isinstance(but, str) else but:
        if name not in types:
            raise ValueError(f"{here}.but: {name} is no type of FHIR R4 that stands in of")
        types.discard(name)
    letters = str(given.get("do", ""))
    if not letters or not frozenset(letters) <= frozenset(LETTERS):
        raise ValueError(f"{here}.do takes letters of {LETTERS}")
    where = tuple(parse_qsl(given.get("where", ""), keep_blank_values=True))
    if bool(where) != ("where" in given) or not all(value for _, value in where):
        raise ValueError(f"{here}.where must be a search, such as owner=Organization/{{facility}}")
    own = given.get("own", False)
    if not isinstance(own, bool):
        raise ValueError(f"{here}.own takes true or false")
    by = cast(Literal["export"] | None, given.get("by"))
    if by not in (None, "export"):
        raise ValueError(f"{here}.by takes export alone")
    return Rule(
        frozenset(types),
        frozenset(named),
        frozenset(letters),
        where,
        own,
        by == "export",
    )


def _operations(given: Any) -> frozenset[str] | None:
    if given == "all":
        return None
    groups = sets()[1]
    return frozenset(one for name in given for one in groups.get(name, (name,)))


def _restricted(given: Any) -> frozenset[str]:
    if given == "all":
        return frozenset(reasons())
    unknown = sorted(set(given) - set(reasons()))
    if unknown:
        raise ValueError(f"restricted: {unknown[0]} is none of {', '.join(sorted(reasons()))}")
    return frozenset(given)


def _is(given: Mapping[str, Any], key: str, word: str) -> bool:
    if given.get(key, "none") not in (word, "none"):
        raise ValueError(f"{key} takes {word} or none")
    return given.get(key) == word


def _known(given: Mapping[str, Any], keys: set[str], path: str) -> None:
    unknown = sorted(set(given) - keys)
    if unknown:
        raise ValueError(f"{path}{unknown[0]} is not known; known are {', '.join(sorted(keys))}")
