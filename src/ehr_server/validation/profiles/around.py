"""What stands around a resource: the Bundle or transaction whose entries it may refer to.

https://hl7.org/fhir/R4/bundle.html#references: a reference is first looked for among the entries,
by fullUrl; a relative one also by the type and id of an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Resource = dict[str, Any]


class Around:
    """The resources that references can be followed to; all others are elsewhere, unknown."""

    def __init__(self, entries: Iterable[tuple[str | None, Resource]] = ()) -> None:
        """`entries`: fullUrl, if there is one, and resource. The first of several wins."""
        self._by_url: dict[str, Resource] = {}
        self._bases: dict[int, str] = {}  # of resources by identity: what relative links start at
        for full_url, resource in entries:
            name, id_ = resource.get("resourceType"), resource.get("id")
            if isinstance(full_url, str):
                self._by_url.setdefault(full_url, resource)
                tail = "/".join(full_url.rsplit("/", 2)[1:])
                if tail.startswith(f"{name}/"):
                    self._by_url.setdefault(tail, resource)
                    self._bases[id(resource)] = full_url.removesuffix(tail)
            if isinstance(id_, str):
                self._by_url.setdefault(f"{name}/{id_}", resource)

    def target(self, reference: Any, resource: Resource) -> Resource | None:
        """What a Reference (or its text) in `resource` leads to; None if that is not here."""
        link = reference.get("reference") if isinstance(reference, dict) else reference
        if not isinstance(link, str):
            return None
        if link.startswith("#"):
            return _contained(link[1:], resource)
        link = link.partition("/_history/")[0]
        base = "" if ":" in link else self._bases.get(id(resource), "")
        return self._by_url.get(base + link)


NOTHING = Around()


def of_bundle(bundle: Resource) -> Around:
    """What stands around the entries of a Bundle."""
    entries = bundle.get("entry")
    return Around(
        (entry.get("fullUrl"), entry["resource"])
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    )


def _contained(id_: str, resource: Resource) -> Resource | None:
    if not id_:
        return resource
    several = resource.get("contained")
    for one in several if isinstance(several, list) else ():
        if isinstance(one, dict) and one.get("id") == id_:
            return one
    return None
