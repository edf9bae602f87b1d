"""FHIRPath by the sections of http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html

Values of several types come type by type, so the code of an extension precedes its string here.
"""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.fhirpath import compile_path

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "name": [
        {"use": "official", "family": "Nguyễn", "given": ["Văn", "An"]},
        {"use": "usual", "given": ["An"]},
    ],
    "telecom": [
        {"system": "phone", "value": "0912", "rank": 2},
        {"system": "email", "value": "an@x.vn"},
        {"system": "phone", "value": "0913", "rank": 1},
    ],
    "birthDate": "1975-02-03",
    "_birthDate": {"extension": [{"url": "time", "valueDateTime": "1975-02-03T10:00:00+07:00"}]},
    "_gender": {"extension": [{"url": "why", "valueCode": "unknown"}]},
    "deceasedBoolean": False,
    "multipleBirthInteger": 2,
    "extension": [
        {"url": "ward", "valueString": "00001"},
        {"url": "ward", "valueCode": "00002"},
        {"url": "size", "valueAge": {"value": Decimal("3.0")}},
    ],
    "generalPractitioner": [
        {"reference": "Practitioner/1"},
        {"reference": "https://x.vn/fhir/Organization/2"},
        {"reference": "#c"},
        {"reference": "urn:uuid:1", "type": "Practitioner"},
        {"display": "?"},
    ],
    "contained": [{"resourceType": "PractitionerRole", "id": "c"}],
}

CASES: dict[str, list[tuple[str, list[Any]]]] = {
    "path-selection": [
        ("Patient.name.given", ["Văn", "An", "An"]),
        ("name.family", ["Nguyễn"]),
        ("Resource.id", ["p"]),
        ("DomainResource.contained.id", ["c"]),
        ("Observation.id", []),
        ("Patient.photo.url", []),
        ("Patient.multipleBirth", [2]),
        ("$this.active", [True]),
    ],
    "literals": [
        ("'a' = 'a'", [True]),
        ("1.0 = 1.00", [True]),
        ("-1 = -1", [True]),
        ("{}", []),
    ],
    "existence": [
        ("name.exists()", [True]),
        ("photo.exists()", [False]),
        ("photo.empty()", [True]),
        ("gender.exists()", [True]),
        ("name.exists(use = 'usual')", [True]),
        ("name.exists(use = 'old')", [False]),
        ("name.all(given.exists())", [True]),
        ("name.all(family.exists())", [False]),
        ("photo.all(url = 'x')", [True]),
        ("name.count()", [2]),
        ("photo.count()", [0]),
        ("name.given.distinct()", ["Văn", "An"]),
        ("name.given.isDistinct()", [False]),
        ("telecom.value.isDistinct()", [True]),
    ],
    "filtering-and-projection": [
        ("telecom.where(system = 'phone').value", ["0912", "0913"]),
        ("telecom.where(rank = 2 or system = 'email').value", ["0912", "an@x.vn"]),
        ("telecom.where(period.start = '2020').value", []),
        ("name.select(given)", ["Văn", "An", "An"]),
        ("name.select(family | use)", ["Nguyễn", "official", "usual"]),
        ("name.where($this.family.exists()).use", ["official"]),
        ("name.given.where($this = 'An')", ["An", "An"]),
        ("extension.value.ofType(string)", ["00002", "00001"]),
    ],
    "subsetting": [
        ("name[0].use", ["official"]),
        ("name[1].use", ["usual"]),
        ("name[2].use", []),
        ("telecom.first().value", ["0912"]),
        ("telecom.last().value", ["0913"]),
        ("name.given[1]", ["An"]),
    ],
    "combining": [
        ("name.family | name.family", ["Nguyễn"]),
        ("name.given | name.family", ["Văn", "An", "Nguyễn"]),
        ("name | name.first()", PATIENT["name"]),
        ("birthDate | photo.url", ["1975-02-03"]),
    ],
    "string-manipulation": [
        ("birthDate.matches('^19')", [True]),
        ("birthDate.startsWith('19')", [True]),
        ("birthDate.endsWith('04')", [False]),
        ("birthDate.contains('-02-')", [True]),
        ("birthDate.length()", [10]),
        ("photo.url.startsWith('x')", []),
        ("name.given.startsWith('A')", []),
    ],
    "conditional": [
        ("iif(active, name.family, 'none')", ["Nguyễn"]),
        ("iif(photo.exists(), 1, 2)", [2]),
        ("iif(photo.exists(), 1)", []),
    ],
    "equality": [
        ("birthDate = '1975-02-03'", [True]),
        ("birthDate != '1975-02-03'", [False]),
        ("photo.url = 'x'", []),
        ("photo.url != 'x'", []),
        ("name.given = name.given", [True]),
        ("name.given = 'An'", [False]),
        ("Patient.deceased.exists() and Patient.deceased != false", [False]),
    ],
    "types": [
        ("birthDate is date", [True]),
        ("birthDate.is(dateTime)", [False]),
        ("photo.url is uri", []),
        ("Patient is DomainResource", [True]),
        ("contained[0] is PractitionerRole", [True]),
        ("contained[0] is Patient", [False]),
        ("contained.ofType(PractitionerRole).id", ["c"]),
        ("extension.value as Quantity", [{"value": Decimal("3.0")}]),
        ("extension.value as code", ["00002"]),
        ("extension.value.as(FHIR.Age)", [{"value": Decimal("3.0")}]),
        ("multipleBirth is integer", [True]),
        ("multipleBirth is boolean", [False]),
    ],
    "collections": [
        ("'An' in name.given", [True]),
        ("'Bình' in name.given", [False]),
        ("photo.url in name.given", []),
        ("name.given contains 'Văn'", [True]),
    ],
    "boolean-logic": [
        ("true and true", [True]),
        ("true and {}", []),
        ("{} and false", [False]),
        ("false and {}", [False]),
        ("{} and true", []),
        ("{} or true", [True]),
        ("true or {}", [True]),
        ("{} or false", []),
        ("false or false", [False]),
        ("false or {}", []),
        ("true xor false", [True]),
        ("true xor true", [False]),
        ("{} xor true", []),
        ("false implies {}", [True]),
        ("true implies {}", []),
        ("true implies false", [False]),
        ("{} implies true", [True]),
        ("{} implies false", []),
        ("active.not()", [False]),
        ("photo.url.not()", []),
        ("name.family and active", [True]),
    ],
    "r4-additions": [
        ("extension('ward').value", ["00002", "00001"]),
        ("birthDate.extension('time').value", ["1975-02-03T10:00:00+07:00"]),
        ("birthDate.hasExtension('time')", [True]),
        ("name.family.hasExtension('time')", [False]),
        ("where(hasExtension('ward')).id", ["p"]),
        ("birthDate.hasValue()", [True]),
        ("gender.hasValue()", [False]),
        ("%resource.id", ["p"]),
        ("name.where(%resource.active).family", ["Nguyễn"]),
        ("name.family.trace('seen', use)", ["Nguyễn"]),
        ("generalPractitioner.where(resolve() is Organization).reference",
         ["https://x.vn/fhir/Organization/2"]),
        ("generalPractitioner.where(resolve() is Practitioner).reference",
         ["Practitioner/1", "urn:uuid:1"]),
        ("generalPractitioner.where(resolve() is PractitionerRole).reference", ["#c"]),
        ("generalPractitioner.where(resolve().is(DomainResource)).count()", [4]),
        ("generalPractitioner.resolve().ofType(Organization).exists()", [True]),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(expression, expected, id=f"{section}: {expression}")
        for section, cases in CASES.items()
        for expression, expected in cases
    ],
)
def test_fhirpath(expression: str, expected: list[Any]) -> None:
    evaluate = compile_path(expression, "Patient")
    assert [value for _, value in evaluate(PATIENT)] == expected


def test_uri_holds_its_kinds_and_string_too() -> None:
    """`as uri` takes a canonical, `as string` a code. http://hl7.org/fhirpath/N1/#as-type-specifier"""
    plan = {"resourceType": "ConceptMap", "sourceCanonical": "http://x/ValueSet/v"}
    assert compile_path("ConceptMap.source as uri", "ConceptMap")(plan) == [
        ("canonical", "http://x/ValueSet/v")
    ]
