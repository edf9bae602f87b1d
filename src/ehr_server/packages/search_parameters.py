"""Rules about SearchParameters: what cannot be searched by is told, and refuses nothing.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.packages.findings import warning
from ehr_server.search import added

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.issue import Issue


def can_be_used(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """A guide may define what this server does not compile, or give a code of the standard another
    meaning: the rest of it is of use all the same."""
    for one in new:
        if one.type != "SearchParameter":
            continue
        if one.resource()["status"] != "active":
            text = "is not active, so nothing can be searched by it"
            yield warning(one, "search", text, "chưa active nên không dùng để tìm kiếm")
        for issue in added.faults(one.resource()):
            text, vi = f"is not used: {issue.text}", f"không được dùng: {issue.vi}"
            yield warning(one, "search", text, vi, issue.expression)
