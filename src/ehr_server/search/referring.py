"""Who refers to a resource, told by the index: the hashes to look for, and those to add for them.

https://hl7.org/fhir/R4/references.html#literal. A reference in an element with a search parameter
lies in `resource.refs` already, as the hash of its target and of the parameter
(`search.types.reference`). All others (extensions, contained resources, elements that nothing
searches) are added under a mark that no parameter has. So all literal references to this server
are found, and the rows of most resources are not a byte longer (docs/decisions/0012-references.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.hashing import hash64, own_comp
from ehr_server.layout import leaf
from ehr_server.search.parameters import STANDARD
from ehr_server.search.types.reference import mark

Identity = tuple[str, str]

_UNSEARCHED = hash64("reference", "*")


def hashes_by_leaf(identities: Iterable[Identity]) -> dict[str, list[int]]:
    """By leaf, what the rows hold that refer to one of the resources."""
    owns: defaultdict[str, list[int]] = defaultdict(list)
    for type_name, id_ in identities:
        owns[type_name].append(own_comp(type_name, id_))
    return {
        leaf_name: [own ^ one for target in owns for one in _leaf_marks(leaf_name, target)
                    for own in owns[target]]
        for leaf_name in {leaf(type_name) for type_name in definitions().resource_types}
    }  # fmt: skip


def unsearched(type_name: str, refs: Sequence[int], targets: Iterable[Identity]) -> list[int]:
    """What to add to `refs` for the targets that are not found by it yet."""
    found = set(refs)
    added = set()
    for target, id_ in targets:
        own = own_comp(target, id_)
        if not any(own ^ one in found for one in _marks(type_name, target)):
            added.add(own ^ _UNSEARCHED)
    return sorted(added)


def targets(texts: Iterable[str], base: str) -> Mapping[Identity, set[str | None]]:
    """What references on this server lead to, each with the versions named: None for none."""
    found: dict[Identity, set[str | None]] = {}
    types = definitions().type_number
    for text in texts:
        parsed = references.parse(text, base)
        if parsed.kind == "local" and parsed.type in types and parsed.id:
            found.setdefault((parsed.type or "", parsed.id), set()).add(parsed.version)
    return found


@lru_cache(maxsize=32_768)
def _marks(type_name: str, target: str) -> tuple[int, ...]:
    """Those of the parameters of the type that may lead to the target type."""
    here = STANDARD.of(type_name)
    named = {
        source.parameter.name: source
        for sources in here.by_code.values()
        for source in sources
        if source.parameter.type == "reference"
        if not source.targets or target in source.targets
    }
    return tuple(mark(source.parameter) for source in named.values())


@lru_cache(maxsize=4_096)
def _leaf_marks(leaf_name: str, target: str) -> tuple[int, ...]:
    several = (one for one in definitions().resource_types if leaf(one) == leaf_name)
    found = {one for type_name in several for one in _marks(type_name, target)}
    return (_UNSEARCHED, *sorted(found))
