"""What is looked at before artifacts are let in: rules as rows, each a function to findings.

An error refuses the whole package. What a rule says names the artifact and, where there is one,
the element; further rules are further rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ehr_server import validation
from ehr_server.packages import canonicals, profiles, search_parameters, terminology
from ehr_server.packages.findings import error, warning

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.issue import Issue

Rule = Callable[["Catalog", Sequence["Artifact"]], Iterable["Issue"]]

# What the server works with; of others (ImplementationGuide, ...) it names no more than the url.
_USED = frozenset(
    {
        "CodeSystem",
        "ConceptMap",
        "NamingSystem",
        "OperationDefinition",
        "SearchParameter",
        "StructureDefinition",
        "ValueSet",
    }
)


def check(catalog: Catalog, new: Sequence[Artifact]) -> list[Issue]:
    """What is wrong with the artifacts that are new in the catalog: errors, then warnings.

    `catalog` holds them already. The rules see only what is a resource of R4 as such; while there
    are errors of that kind, there are no others.
    """
    used = [one for one in new if one.type in _USED]
    found = [issue for rule in _FIRST for issue in rule(catalog, used)]
    if not any(issue.severity == "error" for issue in found):
        found += [issue for rule in RULES for issue in rule(catalog, used)]
    return sorted(found, key=lambda issue: issue.severity != "error")


def faulty(new: Sequence[Artifact]) -> Iterator[tuple[Artifact, Issue]]:
    """What is left out with a warning: naming systems that are no resources of R4, of which
    published packages hold some, and which nothing else builds on."""
    for one in new:
        issue = next(_faults(one), None) if one.type == "NamingSystem" else None
        if issue is not None:
            text, vi = f"is left out: {issue.text}", f"bị bỏ qua: {issue.vi}"
            yield one, warning(one, "structure", text, vi, issue.expression)


def _kept_to_r4(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """An artifact is itself a resource, and the rules may rely on its shape.

    A broken invariant of R4 is a warning: published packages break some that change no shape.
    """
    for one in new:
        for issue in _faults(one):
            say = warning if issue.code == "invariant" else error
            yield say(one, "structure", issue.text, issue.vi or issue.text, issue.expression)


def _faults(one: Artifact) -> Iterator[Issue]:
    found = validation.check(one.resource())
    return (issue for issue in found if issue.severity in ("error", "fatal"))


def _named_once(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """https://hl7.org/fhir/R4/resource.html#canonical: url and version name one artifact."""
    seen: set[tuple[str, ...]] = set()
    for one in new:
        key = (one.package, one.type, one.url, one.version)
        if key in seen:
            text = "stands twice in the package, with the same version"
            yield error(one, "duplicate", text, "có hai lần trong gói, cùng phiên bản")
        seen.add(key)


_FIRST: tuple[Rule, ...] = (_kept_to_r4, _named_once)
RULES: tuple[Rule, ...] = (
    profiles.compile_,
    profiles.others_stay_usable,
    profiles.invariants_parse,
    profiles.patterns_compile,
    terminology.sizes,
    terminology.circles,
    terminology.patterns_compile,
    canonicals.lead_somewhere,
    search_parameters.can_be_used,
)
