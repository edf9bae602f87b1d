"""Resources of every type, made from the definitions by a seed: seeds of the differential tests.

Nothing but the definitions says what they hold, so that each element of the standard is met. They
keep to structure and formats; an invariant here and there is broken, which is as it should be.
"""

import copy
import random
from decimal import Decimal
from typing import Any

from ehr_server.definitions import Element, definitions

_PRIMITIVES: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "integer": (0, -7, 2_147_483_647),
    "unsignedInt": (0, 12),
    "positiveInt": (1, 400),
    "decimal": (Decimal("107.50"), Decimal("-0.001"), 37, Decimal("1E-12")),
    "string": ("Nguyễn Thị Hoa", "x", " two  spaces "),
    "markdown": ("# a\n* b", "c"),
    "code": ("a-code", "two words"),
    "id": ("a.B-3",),
    "uri": ("http://example.org/u", "urn:oid:1.2.3", "a|b"),
    "url": ("https://example.org/x?y=z#a",),
    "canonical": ("http://example.org/c|1.0",),
    "oid": ("urn:oid:1.2.840.10008",),
    "uuid": ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520",),
    "base64Binary": ("aGVsbG8=", "aGVs\nbG8h"),
    "date": ("2024-02-29", "1958-06", "2000"),
    "dateTime": ("2024-12-31T23:59:60.123+07:00", "2023-02-28", "2021-11"),
    "instant": ("2026-11-22T08:15:30.123Z",),
    "time": ("08:15:00", "23:59:59.5"),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml"><p class="a">Hoa &amp; &#233;</p></div>',),
}
_UCUM = {"system": "http://unitsofmeasure.org", "code": "mg"}
# Types whose invariants a blind choice of elements nearly always breaks.
_COMPLEX: dict[str, tuple[dict[str, Any], ...]] = {
    "Quantity": ({"value": Decimal("5.0"), "unit": "mg"}, {"value": 5, **_UCUM}, {"unit": "mg"}),
    "Age": ({"value": 5, "system": "http://unitsofmeasure.org", "code": "a"},),
    "Count": ({"value": 5, "system": "http://unitsofmeasure.org", "code": "1"},),
    "Distance": ({"value": 5, "system": "http://unitsofmeasure.org", "code": "m"},),
    "Duration": ({"value": 5, "system": "http://unitsofmeasure.org", "code": "h"},),
    "Ratio": ({"numerator": {"value": 1}, "denominator": {"value": 2, **_UCUM}},),
    "Range": ({"low": {"value": 1}, "high": {"value": Decimal("1.0")}}, {"high": {"value": 3}}),
    "Period": ({"start": "2023", "end": "2023-05-01T10:00:00Z"}, {"end": "2023-05"}),
    "ContactPoint": ({"system": "phone", "value": "0900000000"}, {"use": "mobile", "rank": 1}),
    "Attachment": ({"contentType": "text/plain", "data": "aGVsbG8="}, {"title": "x"}),
    "Expression": ({"language": "text/fhirpath", "expression": "x"},),
    "TriggerDefinition": ({"type": "named-event", "name": "x"},),
    "Patient.contact": ({"name": {"text": "x"}, "gender": "female"},),
}
_DEPTH_MAX = 6


def made(type_name: str, seed: int) -> dict[str, Any]:
    """A resource of the type; the same seed makes the same."""
    return _Maker(random.Random(seed)).resource(type_name, 0)


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def resource(self, type_name: str, depth: int) -> dict[str, Any]:
        return {"resourceType": type_name, **self._object(type_name, depth)}

    def _object(self, type_name: str, depth: int) -> dict[str, Any]:
        if type_name == "Extension":
            return self._extension(depth)
        elements = definitions().types[type_name].elements.values()
        found: dict[str, Any] = {}
        for element in elements:
            if element.name == "contained":
                continue  # would have to be linked to
            if element.min or self._chance.random() < (0.35, 0.2, 0.1, 0.05, 0)[min(depth, 4)]:
                self._add(found, element, depth)
        if depth and not found.keys() - {"id"}:
            others = [element for element in elements if element.name != "id"]
            simple = [element for element in others if element.types[0] in _PRIMITIVES]
            self._add(found, self._chance.choice(simple or others), depth)
        return found

    def _add(self, found: dict[str, Any], element: Element, depth: int) -> None:
        simple = [of for of in element.types if of in _PRIMITIVES] if depth > _DEPTH_MAX else []
        several = simple or element.types
        # Skewed to the front: behind are the types that hardly any extension has as its value.
        type_name = several[int(self._chance.random() ** 1.5 * len(several))]
        name = element.name
        if element.is_choice:
            name += type_name[0].upper() + type_name[1:]
        if not element.is_list:
            found[name] = self._value(element, type_name, depth)
        else:
            count = self._chance.choice((1, 1, 2))
            found[name] = [self._value(element, type_name, depth) for _ in range(count)]
        may_extend = type_name in _PRIMITIVES and type_name != "xhtml" and not element.is_bare
        if may_extend and self._chance.random() < 0.02:
            extended = {"extension": [self._extension(depth)]}
            found[f"_{name}"] = [extended] * count if element.is_list else extended

    def _value(self, element: Element, type_name: str, depth: int) -> Any:
        if type_name == "Resource":
            return self.resource(self._chance.choice(("Basic", "Patient", "Binary")), depth + 1)
        codes = sorted(definitions().codes.get(element.binding or "", ()))
        if codes:
            return self._bound(element, type_name, self._chance.choice(codes))
        if element.is_bare and type_name == "string":
            return "id1"
        if type_name == "Reference":
            return self._reference(element)
        if type_name in _PRIMITIVES:
            return self._chance.choice(_PRIMITIVES[type_name])
        if type_name in _COMPLEX and self._chance.random() < 0.9:
            return copy.deepcopy(self._chance.choice(_COMPLEX[type_name]))
        return self._object(type_name, depth + 1)

    def _bound(self, element: Element, type_name: str, code: str) -> Any:
        coding = {"system": definitions().systems.get(element.binding or "", "x"), "code": code}
        return {"code": code, "Coding": coding, "CodeableConcept": {"coding": [coding]}}[type_name]

    def _reference(self, element: Element) -> dict[str, Any]:
        target = self._chance.choice(element.targets or definitions().resource_types)
        links = (
            f"{target}/1",
            f"{target}/a.b-c/_history/2",
            f"{target}?identifier=http://example.org|7",
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            f"https://example.org/fhir/{target}/1",
        )
        return {"reference": self._chance.choice(links)}

    def _extension(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {"url": "http://example.org/extension"}
        value = definitions().types["Extension"].elements["value"]
        if depth < _DEPTH_MAX and self._chance.random() < 0.2:
            found["extension"] = [self._extension(depth + 1)]
        else:
            self._add(found, value, depth + 1)
            found = {name: of for name, of in found.items() if not name.startswith("_")}
        return found
