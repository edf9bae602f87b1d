"""Small damage to a resource, by a seed: what the gate and the explanation must agree about."""

import copy
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from ehr_server.definitions import definitions

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 10**400, 1.5),
    *(Decimal("2.0"), Decimal("2"), Decimal("1E+2"), Decimal("1E+400"), Decimal("1." + "1" * 400)),
    *("", " ", "x", " x", "x ", "a  b", "a\tb", "x\n", "\n", "\x00", "\x0b", "\x1f", "\u00a0"),
    *("a\u00a0b", "\u2028", "true", "2", "https://exa mple.org", "#", "#x", "#a.B-3", "a" * 65),
    *("2023-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "2023-02-30", "2023-13", "23"),
    *("0000", "2023-04-31T10:00:00Z", "2023-04-30T10:00:00", "2023-04-30T10:00Z", "24:00:00"),
    *("2023-04-30T23:59:60Z", "2023-04-30T10:00:00+14:30", "23:59:61", "10:00", "２０２３"),
    *("Patient/1", "Foo/1", "Patient/", "Patient/1/_history/", "/Patient/1", "patient/1"),
    *("Patient?identifier=a|b", "Patient?", "urn:uuid:x", "urn:oid:1.02", "http:", "final", "male"),
    *("aGVsbG8", "aGVs bG8=", "====", "é", "<div>x</div>", "<div", "unknown", "en", "mg"),
    '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
    '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>',
    '<div xmlns="http://www.w3.org/1999/xhtml"><a href="java&#115;cript:x">x</a></div>',
    '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x">x</p></div>',
    *([], {}, [None], [[]], [{}], ["x"], {"id": "a"}, {"id": "a b"}, {"x": 1}, {"text": "x"}),
    *({"reference": "#x"}, {"reference": "Patient/1"}, {"value": 1}, {"code": "x"}, {"low": {}}),
    {"extension": [{"url": "a", "valueString": "b"}]},
    {"extension": [{"url": "a"}]},
    {"start": "2024-01-01", "end": "2023-01-01"},
    {"start": "2024-01-01T00:00:00Z", "end": "2024-01-01"},
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical"}]},
    {"resourceType": "Patient", "id": "x"},
    {"resourceType": "Patient", "id": "x", "gender": "boy"},
    {"resourceType": "Foo"},
)
_NAMES = ("id", "extension", "modifierExtension", "url", "resourceType", "contained", "text", "foo")
_EXTENSION = {"url": "http://example.org/x", "valueString": "y"}

Mutate = Callable[[dict[str, Any], random.Random], None]


def mutated(resource: dict[str, Any], seed: int) -> dict[str, Any]:
    """A copy with one or two kinds of damage; some of it is none."""
    chance = random.Random(seed)
    damaged = copy.deepcopy(resource)
    for _ in range(chance.choice((1, 1, 1, 2))):
        holder = chance.choice(list(_objects(damaged)))
        chance.choice(_MUTATIONS)(holder, chance)
    return damaged


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child)


def _odd(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(_ODD))


def _remove(holder: dict[str, Any], chance: random.Random) -> None:
    if holder:
        del holder[chance.choice(list(holder))]


def _replace(holder: dict[str, Any], chance: random.Random) -> None:
    if holder:
        holder[chance.choice(list(holder))] = _odd(chance)


def _replace_item(holder: dict[str, Any], chance: random.Random) -> None:
    lists = [child for child in holder.values() if isinstance(child, list) and child]
    if lists:
        items = chance.choice(lists)
        items[chance.randrange(len(items))] = _odd(chance)


def _wrap(holder: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(list(holder) or ["x"])
    child = holder.get(name)
    holder[name] = child[0] if isinstance(child, list) and child else [child]


def _add(holder: dict[str, Any], chance: random.Random) -> None:
    holder[chance.choice(_NAMES)] = _odd(chance)


def _add_known(holder: dict[str, Any], chance: random.Random) -> None:
    """An element of some type, as often as not of the right one."""
    type_name = holder.get("resourceType")
    known = definitions().types.get(type_name) if isinstance(type_name, str) else None
    types = definitions().types
    definition = known or types[chance.choice(sorted(types))]
    if definition.elements:
        element = chance.choice(list(definition.elements.values()))
        of = chance.choice(element.types)
        name = element.name + (of[0].upper() + of[1:] if element.is_choice else "")
        holder[name] = [_odd(chance)] if element.is_list else _odd(chance)


def _add_sibling(holder: dict[str, Any], chance: random.Random) -> None:
    """`_name`, with or without the value beside it."""
    if not holder:
        return
    name = chance.choice(list(holder))
    extended: Any = chance.choice(({"extension": [dict(_EXTENSION)]}, {"id": "a"}, {}, None))
    if isinstance(holder[name], list):
        several = [None] * (len(holder[name]) - 1) + [extended]
        extended = chance.choice((several, [extended], [extended] * 3))
        if chance.random() < 0.4 and holder[name]:
            holder[name] = [*holder[name][:-1], None]
    holder[f"_{name}"] = extended
    if chance.random() < 0.3:
        del holder[name]


def _rename(holder: dict[str, Any], chance: random.Random) -> None:
    """Another name, often one of the same choice."""
    if not holder:
        return
    name = chance.choice(list(holder))
    stem = name.rstrip("".join(chr(c) for c in range(ord("a"), ord("z") + 1)))[:-1] or name
    suffix = chance.choice(("String", "Boolean", "Quantity", "CodeableConcept", "DateTime", "X"))
    holder[f"{stem}{suffix}"] = copy.deepcopy(holder[name])
    if chance.random() < 0.5:
        del holder[name]


def _double(holder: dict[str, Any], chance: random.Random) -> None:
    for name, child in holder.items():
        if isinstance(child, list) and chance.random() < 0.5:
            holder[name] = child + copy.deepcopy(child)


def _contain(holder: dict[str, Any], chance: random.Random) -> None:
    """A contained resource, and with luck a reference to it."""
    holder["contained"] = [{"resourceType": "Patient", "id": chance.choice(("x", "y", ""))}]
    references = [one for one in _objects(holder) if "reference" in one]
    if references and chance.random() < 0.7:
        chance.choice(references)["reference"] = chance.choice(("#x", "#y"))
    if chance.random() < 0.2:
        holder["contained"][0]["generalPractitioner"] = [{"reference": "#"}]
    if chance.random() < 0.2:
        holder["contained"][0]["meta"] = {"versionId": "1"}


_MUTATIONS: tuple[Mutate, ...] = (
    *(_remove, _replace, _replace, _replace_item, _wrap, _add, _add_known, _add_sibling),
    *(_rename, _double, _contain),
)
