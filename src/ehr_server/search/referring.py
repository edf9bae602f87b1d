"""Who refers to a resource, told by the index: the hashes to look for, and those to add for them.

https://hl7.org/fhir/R4/references.html#literal. A reference in an element with a search parameter
lies in `resource.refs` already, as the hash of its target and of the parameter
(`search.types.reference`). All others (extensions, contained resources, elements that nothing
searches) are added under a mark that no parameter has. So all literal references to this server
are found, and the rows of most resources are not a byte longer (docs/decisions/0012-references.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.hashing import hash64, own_comp
from ehr_server.layout import leaf
from ehr_server.search.parameters import STANDARD
from ehr_server.search.rows import CACHED_MAX
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


def unsearched(type_name: str, refs: Sequence[int], texts: Iterable[str], base: str) -> list[int]:
    """What to add to `refs` for the references on this server that are not found by it yet."""
    found = set(refs)
    added = set()
    for text in texts:
        to = (_cached if len(text) < CACHED_MAX else _led)(type_name, text, base)
        if to is None:
            continue
        own, marks = to
        for one in marks:
            if own ^ one in found:
                break
        else:
            added.add(own ^ _UNSEARCHED)
    return sorted(added)


def _led(type_name: str, text: str, base: str) -> tuple[int, tuple[int, ...]] | None:
    """The hash of what a literal reference leads to, and the marks of the parameters that it may
    stand in the index under."""
    parsed = references.parse(text, base)
    if parsed.kind != "local" or parsed.type not in definitions().type_number or not parsed.id:
        return None
    own = own_comp(parsed.type, parsed.id)
    return own, _marks(type_name, parsed.type)


_cached = lru_cache(maxsize=4_096)(_led)  # those of one record repeat


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
