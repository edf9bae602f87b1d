"""The published examples that are refused, each confirmed by means that are not ours.

What they break is read from the definitions published beside them as plain JSON: cardinalities and
target types of the snapshots, the regular expression of `id`, and the invariants' expressions by
fhirpathpy. The list itself is docs/reference/refused-examples.md, made by a tool.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

import make_refused_examples

_ROOT = Path(__file__).parent.parent.parent
_PACKAGE = _ROOT / "cache" / make_refused_examples.PACKAGE
_INDEX = re.compile(r"\[\d+\]")
_SDF_4 = "abstract = true or baseDefinition.exists()"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _PACKAGE.exists(), reason="no cache/: run tools/make_definitions.py"),
]

Resource = dict[str, Any]


@cache
def _published() -> dict[str, Resource]:
    """Everything in the package by file name, as the standard library reads it."""
    found = {}
    with tarfile.open(_PACKAGE) as tar:
        for member in tar:
            path = Path(member.name)
            if path.suffix == ".json" and not path.name.startswith("."):
                stream = tar.extractfile(member)
                assert stream is not None
                found[path.stem] = json.loads(stream.read())
    return found


def _element(path: str) -> Resource:
    """The published definition of an element; one that refers elsewhere is followed."""
    elements = _published()[f"StructureDefinition-{path.partition('.')[0]}"]["snapshot"]["element"]
    by_path = {one["path"]: one for one in elements}
    here = path.partition(".")[0]
    for step in path.split(".")[1:]:
        element = by_path[here]
        here = element.get("contentReference", f"#{here}")[1:] + f".{step}"
    return by_path[here]


def _holders(resource: Any, steps: list[str]) -> Iterator[Resource]:
    if not steps:
        yield resource
        return
    value = resource.get(steps[0])
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield from _holders(one, steps[1:])


def _lacks(resource: Resource, path: str) -> bool:
    """Whether somewhere an element is absent whose published minimum is one."""
    steps = path.split(".")[1:]
    holders = list(_holders(resource, steps[:-1]))
    return _element(path)["min"] == 1 and any(steps[-1] not in one for one in holders)


def _leads_astray(resource: Resource, path: str) -> bool:
    """Whether a reference leads to a type that is no published target, or is no reference."""
    element = _element(path.removesuffix(".reference"))
    targets = {
        profile.rpartition("/")[2]
        for one in element["type"]
        for profile in one.get("targetProfile", ())
    }
    links = [one["reference"] for one in _holders(resource, path.split(".")[1:-1])]
    is_known = "StructureDefinition-" + "{}"
    return any(
        (
            is_known.format(link.partition("/")[0]) in _published()
            and targets
            and "Resource" not in targets
            and link.partition("/")[0] not in targets
        )
        or re.fullmatch(r"[A-Za-z]+/[A-Za-z0-9\-.]{1,64}|https?:.*|urn:.*|#.*", link) is None
        for link in links
    )


def _is_confirmed(resource: Resource, rule: str, path: str) -> bool:
    match rule:
        case "min":
            return _lacks(resource, path)
        case "target":
            return _leads_astray(resource, path)
        case "format":  # the id of a resource: datatypes.html#id
            return re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"]) is None
        case "bdl-7":
            urls = Counter(one.get("fullUrl") for one in resource["entry"])
            return max(urls.values()) > 1
        case "sdf-4":
            return fhirpathpy.evaluate(resource, _SDF_4, {}, models["r4"]) == [False]
        case _:
            return False


def test_every_refusal_is_confirmed() -> None:
    refused = {
        (name, issue.rule, _INDEX.sub("", issue.expression[0]))
        for name, resource in make_refused_examples.examples(_PACKAGE)
        for issue in make_refused_examples.refusals(resource)
    }
    assert len({name for name, _, _ in refused}) == 23
    unconfirmed = [
        one for one in sorted(refused) if not _is_confirmed(_published()[one[0]], one[1], one[2])
    ]
    assert unconfirmed == []


def test_the_page_is_up_to_date() -> None:
    page = make_refused_examples.PAGE.read_text(encoding="utf-8")
    assert page == make_refused_examples.page(_PACKAGE), "run tools/make_refused_examples.py"
