"""A small record, made by a seed, in which every search parameter of its types has values.

Only the elements that search expressions name are filled, from pools of values that meet one
another again and again: the same codes in several systems and in none, the same ids of all types,
names with and without tones, dates of every precision, units of one dimension.
"""

import random
import re
from decimal import Decimal
from functools import cache
from typing import Any
from unicodedata import normalize

from ehr_server.definitions import Element, definitions
from ehr_server.fhir import json
from ehr_server.search.parameters import STANDARD
from ehr_server.validation.rulebook import Rulebook
from searching import HERE

Resource = dict[str, Any]

TYPES = (
    *("Patient", "Observation", "Encounter", "Condition", "Organization", "Practitioner"),
    *("Location", "Group", "List", "ValueSet", "DocumentReference", "MedicationRequest"),
    *("RiskAssessment", "MolecularSequence"),
)
LOINC, LOCAL, UCUM = "http://loinc.org", "http://benhvien.vn/xn", "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"

CODINGS: tuple[dict[str, str], ...] = (
    {"system": LOINC, "code": "718-7", "display": "Hemoglobin [Mass/volume] in Blood"},
    {"system": LOINC, "code": "8480-6", "display": "Systolic blood pressure"},
    {"system": LOCAL, "code": "718-7", "display": "Huyết sắc tố"},
    {"system": LOCAL, "code": "HGB"},
    {"system": LOCAL, "code": "hgb", "display": normalize("NFD", "Huyết áp tâm thu")},
    {"code": "718-7"},
    {"code": "A|b,c$d\\e", "display": "lạ, thật"},
    {"system": LOINC},
    {"display": "Hemoglobin"},
    {"system": CLINICAL, "code": "active"},
    {"system": CLINICAL, "code": "relapse", "display": "Relapse"},
    {"system": CLINICAL, "code": "resolved"},
    {"system": ACT, "code": "IMP", "display": "inpatient encounter"},
    {"system": ACT, "code": "ACUTE"},
    {"system": ACT, "code": "AMB"},
    {"system": ABSENT, "code": "unknown"},
    {"system": ABSENT, "code": "asked-unknown"},
    {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"},
    {"system": "http://hl7.org/fhir/administrative-gender", "code": "female"},
)
TEXTS = (
    "Nguyễn Thị Hoa", "Hoa", "hoa", normalize("NFD", "Nguyễn Văn Ánh"), "Đặng Ánh", "Trần An",
    "Hoàng  Hoa Thám", "BS. O'Neil", "Huyết áp tâm thu, cao", "Hà Nội", "hà nội 2", "Điện Biên",
    "x", "A|b$c\\d", "Anna-Maria", "NGUYEN", "Thị",
)  # fmt: skip
DATES = (
    *("2023", "2024", "2024-01", "2024-02", "2023-12", "2024-01-15", "2024-02-29", "2023-12-31"),
    *("2024-01-15T08:30:00+07:00", "2024-01-15T01:30:00Z", "2024-01-15T08:30:00.250+07:00"),
    *("2024-01-31T23:59:59+07:00", "2023-12-31T17:00:00Z", "0001-01-01", "9999-12-31T23:59:59Z"),
)  # fmt: skip
_NUMBERS = ("5", "5.0", "5.4", "5.44", "5.40", "-3", "0.05", "0", "37.0", "100", "5000", "0.0054")
_UNITS: tuple[dict[str, str], ...] = (
    {"system": UCUM, "code": "mg", "unit": "mg"},
    {"system": UCUM, "code": "g", "unit": "gam"},
    {"system": UCUM, "code": "ug"},
    {"system": UCUM, "code": "mmol/L"},
    {"system": UCUM, "code": "Cel"},
    {"system": UCUM, "code": "[degF]"},
    {"system": UCUM, "code": "1"},
    {"system": UCUM, "code": "no-such-unit", "unit": "mg"},
    {"system": LOCAL, "code": "mg", "unit": "miligam"},
    {"system": LOCAL, "code": "vien", "unit": "viên"},
    {"unit": "mg"},
    {"unit": "viên"},
    {},
)
_TIMES = {"Age": ("a", "mo", "d"), "Duration": ("min", "h", "d")}
_URIS = (
    "http://example.org/fhir/ValueSet/a", "http://example.org/fhir/ValueSet/a/b",
    "http://example.org/fhir", "http://example.org/fhir/", "http://example.org/fhirx",
    "urn:oid:1.2.3", "urn:oid:1.2.3.4", LOINC,
)  # fmt: skip
_POSITIONS = (("10.7769", "106.7009"), ("10.8231", "106.6297"), ("21.0278", "105.8342"))
_SYSTEMS = ("http://cccd.vn", "http://bhyt.vn", None)
_DEPTH_MAX = 5
_COMMON = frozenset(  # of a choice; the others are rarer
    ("CodeableConcept", "Quantity", "Range", "Age", "string", "dateTime", "Period", "Reference")
)
_WORD = re.compile(r"\w+")
_INNER = re.compile("(?<=[a-z])(?=[A-Z])")
_URL = re.compile(r"extension\('([^']+)'\)")


def made(seed: int, count: int) -> list[Resource]:
    """So many valid resources of each of `TYPES`, which refer to one another."""
    maker, rulebook = _Maker(random.Random(seed), count), Rulebook()
    return [
        _valid(maker, rulebook, type_name, f"r{number}")
        for number in range(count)
        for type_name in TYPES
    ]


def _valid(maker: "_Maker", rulebook: Rulebook, type_name: str, id_: str) -> Resource:
    for _ in range(200):
        found: Resource = json.read(json.write(maker.resource(type_name, id_)))
        if not any(issue.severity in ("fatal", "error") for issue in rulebook.check(found)):
            return found
    raise AssertionError(f"no valid {type_name} in 200")


@cache
def _searched_words(type_name: str) -> frozenset[str]:
    """The words of the type's expressions, which the names of searched elements are among."""
    here = STANDARD.of(type_name)
    paths = [path for one in here.indexed for path in one.paths]
    parts = [part.expression for one in here.indexed for part in one.parts]
    return frozenset(word for text in (*paths, *parts) for word in _WORD.findall(text))


class _Maker:
    def __init__(self, chance: random.Random, count: int) -> None:
        self._chance = chance
        self._count = count
        self._words: frozenset[str] = frozenset()
        self._fullness = 0.0
        self._depth = 0

    def resource(self, type_name: str, id_: str) -> Resource:
        self._words = _searched_words(type_name)
        self._fullness = self._chance.choice((0.15, 0.45, 0.45, 0.85))
        found = {"resourceType": type_name, "id": id_, **self._object(type_name)}
        urls = [
            url
            for one in STANDARD.of(type_name).indexed
            for path in one.paths
            for url in _URL.findall(path)
        ]
        if urls and self._is_there():
            found["extension"] = [self._extension(self._chance.choice(urls))]
        if any(key.startswith("abatement") for key in found):  # as an invariant asks
            found["clinicalStatus"] = {"coding": [{"system": CLINICAL, "code": "resolved"}]}
        return found

    def _is_there(self) -> bool:
        return self._chance.random() < self._fullness

    def _object(self, type_name: str) -> Resource:
        found: Resource = {}
        self._depth += 1
        for element in definitions().types[type_name].elements.values():
            name = element.name
            if name in ("id", "extension", "contained", "text", "implicitRules", "resourceType"):
                continue
            is_wanted = self._depth < _DEPTH_MAX and name in self._words | {"meta"}
            if element.min or (is_wanted and self._is_there()):
                self._add(found, element)
        self._depth -= 1
        return found

    def _add(self, found: Resource, element: Element) -> None:
        common = [one for one in element.types if one in _COMMON and self._chance.random() < 0.9]
        type_name = self._chance.choice(common or element.types)
        name = element.name
        if element.is_choice:
            name += type_name[0].upper() + type_name[1:]
        if element.is_list:
            count = self._chance.choice((1, 1, 2, 3))
            values = [self._value(element, type_name) for _ in range(count)]
            found[name] = values = [value for value in values if value not in ({}, None)]
            if not values:
                del found[name]
        else:
            value = self._value(element, type_name)
            if value not in ({}, None):
                found[name] = value

    def _value(self, element: Element, type_name: str) -> Any:
        codes = sorted(definitions().codes.get(element.binding or "", ()))
        if codes:
            return self._bound(element, type_name, self._chance.choice(codes))
        if type_name == "Reference":
            return self._reference(element.targets)
        make = getattr(self, f"_a_{_INNER.sub('_', type_name).replace('.', '').lower()}", None)
        if make is not None:
            return make()
        if type_name in ("Age", "Duration"):
            return self._measured(UCUM, self._chance.choice(_TIMES[type_name]))
        return self._object(type_name) if type_name in definitions().types else None

    def _bound(self, element: Element, type_name: str, code: str) -> Any:
        coding = {"system": definitions().systems.get(element.binding or "", "x"), "code": code}
        return {"code": code, "Coding": coding, "CodeableConcept": {"coding": [coding]}}[type_name]

    def _reference(self, targets: tuple[str, ...]) -> Any:
        chance = self._chance
        here = [one for one in targets if one in TYPES] or list(targets) or list(TYPES)
        target, id_ = chance.choice(here), f"r{chance.randrange(self._count + 1)}"
        if "Patient" in here and chance.random() < 0.5:
            target = "Patient"
        kind = chance.random()
        if kind < 0.65:
            return {"reference": f"{target}/{id_}"}
        if kind < 0.75:
            return {"identifier": self._a_identifier(), "type": target}
        text = chance.choice(
            (
                f"{target}/{id_}/_history/{chance.randint(1, 2)}",
                f"{HERE}/{target}/{id_}",
                f"{HERE}/{target}/{id_}/_history/1",
                f"http://elsewhere.org/fhir/{target}/{id_}",
                f"http://elsewhere.org/fhir/{target}/{id_}/_history/1",
                "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            )
        )
        rest = {"identifier": self._a_identifier()} if chance.random() < 0.2 else {}
        return chance.choice(({"reference": text, **rest}, {"display": "x"} | rest))

    def _extension(self, url: str) -> Resource:
        value = self._chance.choice(
            (
                {"valueString": self._a_string()},
                {"valueCodeableConcept": self._a_codeable_concept()},
                {"valueCode": "hgb"},
                {"extension": [{"url": "x", "valueString": "y"}]},
            )
        )
        return {"url": url, **value}

    def _a_meta(self) -> Resource:
        return {
            "tag": [self._a_coding()],
            "profile": [self._a_canonical()],
            "source": self._a_uri(),
            **({"security": [self._a_coding()]} if self._is_there() else {}),
        }

    def _a_codeable_concept(self) -> Resource:
        found: Resource = {}
        if self._chance.random() < 0.9:
            found["coding"] = self._chance.sample(CODINGS, self._chance.choice((1, 1, 2, 3)))
        if not found or self._chance.random() < 0.4:
            found["text"] = self._a_string()
        return found

    def _a_coding(self) -> Resource:
        return dict(self._chance.choice(CODINGS))

    def _a_identifier(self) -> Resource:
        found: Resource = {}
        system = self._chance.choice(_SYSTEMS)
        if system is not None:
            found["system"] = system
        if self._chance.random() < 0.9 or not found:
            found["value"] = self._chance.choice(("0010", "0011", "DN4-a", "dn4-A", "x,y"))
        if self._chance.random() < 0.5:
            coding = {"system": V2, "code": self._chance.choice(("MR", "NI", "mr"))}
            found["type"] = {"coding": [coding], "text": self._a_string()}
        return found

    def _a_human_name(self) -> Resource:
        words = self._chance.sample(TEXTS, 3)
        found: Resource = {}
        if self._chance.random() < 0.6:
            found["text"] = words[0]
        if self._chance.random() < 0.7:
            found |= {"family": words[1].split()[0], "given": words[2].split()}
        if self._chance.random() < 0.3:
            found["prefix"] = ["BS.", "Ths"]
        if "given" in found and self._chance.random() < 0.1:  # a part of which nothing is known
            unknown = {"extension": [{"url": "http://x.org/none", "valueCode": "unknown"}]}
            found["given"].append(None)
            found["_given"] = [None] * (len(found["given"]) - 1) + [unknown]
        return found or {"use": "official"}

    def _a_address(self) -> Resource:
        parts = {
            "line": [self._a_string()], "city": self._a_string(), "district": "Ba Đình",
            "state": "Hà Nội", "postalCode": "100000", "country": self._a_string(),
            "use": self._chance.choice(("home", "work")), "text": self._a_string(),
        }  # fmt: skip
        chosen = self._chance.sample(sorted(parts), self._chance.randint(1, 5))
        return {key: parts[key] for key in chosen}

    def _a_contact_point(self) -> Resource:
        value = self._chance.choice(("(+84) 912-345.678", "+84912345678", "Hoa@Example.org", "-"))
        return self._chance.choice(
            (
                {"system": "email" if "@" in value else "phone", "value": value},
                {"system": "email" if "@" in value else "sms", "value": value},
                {"use": "home"},
            )
        )

    def _a_period(self) -> Resource:
        start, end = sorted((self._a_date_time(), self._a_date_time()))
        return self._chance.choice(
            ({"start": start, "end": end}, {"start": start}, {"end": end}, {"start": start})
        )

    def _a_timing(self) -> Resource:
        return self._chance.choice(
            (
                {"event": [self._a_date_time(), self._a_date_time()]},
                {"repeat": {"boundsPeriod": self._a_period()}},
                {"repeat": {"count": 3}},
            )
        )

    def _a_dosage(self) -> Resource:
        return {"timing": self._a_timing()}

    def _a_quantity(self) -> Resource:
        found = dict(self._chance.choice(_UNITS))
        if self._chance.random() < 0.95 or not found:
            found["value"] = self._a_decimal()
        return found

    def _a_range(self) -> Resource:
        unit = self._chance.choice(_UNITS)
        low, high = sorted((self._a_decimal(), self._a_decimal()))
        ends = {"low": {"value": low, **unit}, "high": {"value": high, **unit}}
        return {key: ends[key] for key in self._chance.choice((("low", "high"), ("high",)))}

    def _measured(self, system: str, code: str) -> Resource:
        value = abs(Decimal(self._chance.choice(_NUMBERS))) + 1
        return {"value": value, "system": system, "code": code}

    def _a_sampled_data(self) -> Resource:
        return {"origin": {"value": 1}, "period": 1, "dimensions": 1, "data": "E"}

    def _a_locationposition(self) -> Resource:
        latitude, longitude = self._chance.choice(_POSITIONS)
        return {"latitude": Decimal(latitude), "longitude": Decimal(longitude)}

    def _a_annotation(self) -> Resource:
        return {"text": self._a_string()}

    def _a_attachment(self) -> Resource:
        return {"contentType": self._chance.choice(("text/plain", "application/pdf")),
                "language": "vi", "url": self._a_uri()}  # fmt: skip

    def _a_usage_context(self) -> Resource:
        value = self._chance.choice(
            (
                {"valueCodeableConcept": self._a_codeable_concept()},
                {"valueQuantity": self._a_quantity()},
                {"valueRange": self._a_range()},
                {"valueReference": {"reference": "Organization/r1"}},
            )
        )
        return {"code": self._a_coding(), **value}

    def _a_string(self) -> str:
        return self._chance.choice(TEXTS)

    _a_markdown = _a_string

    def _a_boolean(self) -> bool:
        return self._chance.random() < 0.5

    def _a_integer(self) -> int:
        return self._chance.randint(0, 30)

    _a_positive_int = _a_unsigned_int = _a_integer

    def _a_decimal(self) -> Decimal:
        return Decimal(self._chance.choice(_NUMBERS))

    def _a_date(self) -> str:
        return self._chance.choice([one for one in DATES if "T" not in one])

    def _a_date_time(self) -> str:
        return self._chance.choice(DATES)

    def _a_instant(self) -> str:
        return self._chance.choice([one for one in DATES if "T" in one])

    def _a_code(self) -> str:
        return self._chance.choice(("718-7", "HGB", "hgb", "active"))

    def _a_uri(self) -> str:
        return self._chance.choice(_URIS)

    _a_url = _a_uri

    def _a_canonical(self) -> str:
        return self._a_uri() + self._chance.choice(("", "|1.0"))
