"""FHIRPath as invariants ask it, by the sections of http://hl7.org/fhirpath/N1/ and of
https://hl7.org/fhir/R4/fhirpath.html.

Each expression is true of the patient, false, or None for empty.
"""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.fhirpath import Reach, compile_invariant

UCUM = "http://unitsofmeasure.org"
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
    ],
    "birthDate": "1975-02-03",
    "_gender": {"extension": [{"url": "why", "valueCode": "unknown"}]},
    "deceasedDateTime": "2024-05-01T10:00:00+07:00",
    "maritalStatus": {
        "coding": [{"system": "http://s", "code": "M"}, {"system": "http://t", "code": "x"}]
    },
    "multipleBirthInteger": 2,
    "extension": [
        {"url": "mass", "valueQuantity": {"value": Decimal("3.5"), "system": UCUM, "code": "kg"}},
        {"url": "year", "valueDate": "1975"},
        {"url": "age", "valueAge": {"value": 18, "system": UCUM, "code": "a"}},
        {"url": "nested", "extension": [{"url": "deep", "valueDecimal": Decimal("1.50")}]},
    ],
    "managingOrganization": {"reference": "Organization/o"},
    "generalPractitioner": [{"reference": "#c"}, {"reference": "Practitioner/far"}],
    "contained": [{"resourceType": "Practitioner", "id": "c", "gender": "female"}],
}

CASES: dict[str, list[tuple[str, bool | None]]] = {
    "literals": [
        ("@2024-05 = @2024-05", True),
        ("@T10:30 < @T10:31", True),
        ("4 days = 96 hours", True),
        ("1 'mg' = 1 'mg'", True),
        ("%ucum = 'http://unitsofmeasure.org'", True),
        ("%sct & %loinc = 'http://snomed.info/scthttp://loinc.org'", True),
        ("%`vs-colour` = 'http://hl7.org/fhir/ValueSet/colour'", True),
        ("%`ext-size` = 'http://hl7.org/fhir/StructureDefinition/size'", True),
    ],
    "existence": [
        ("telecom.select(value.contains('9')).anyTrue()", True),
        ("telecom.select(value.contains('9')).allTrue()", False),
        ("telecom.select(value.contains('@')).anyFalse()", True),
        ("telecom.select(value.contains('?')).allFalse()", True),
        ("photo.url.select($this = 'x').allTrue()", True),
        ("name[1].given.subsetOf(name[0].given)", True),
        ("name[0].given.supersetOf(name[1].given)", True),
        ("name[0].given.subsetOf(name[1].given)", False),
    ],
    "filtering-and-projection": [
        ("extension.repeat(extension).url = 'deep'", True),
        ("repeat(extension).count() = 5", True),
        ("extension.repeat(extension).where(value is decimal).exists()", True),
    ],
    "subsetting": [
        ("name.given.tail() = ('An' | 'x')", False),
        ("name.given.tail().count() = 2", True),
        ("name.given.skip(2) = 'An'", True),
        ("name.given.take(1) = 'Văn'", True),
        ("name.given.take(0).empty()", True),
        ("name.given.skip(-1).count() = 3", True),
        ("birthDate.single() = @1975-02-03", True),
        ("name.given.single()", None),
        ("name[0].given.intersect(name[1].given) = 'An'", True),
        ("name.given.exclude('An') = 'Văn'", True),
    ],
    "combining": [
        ("name[0].given.combine(name[1].given).count() = 3", True),
        ("name[0].given.union(name[1].given).count() = 2", True),
        ("name.given.combine(name.family).isDistinct()", False),
    ],
    "conversion": [
        ("'18'.toInteger() = 18", True),
        ("'1.8'.toInteger()", None),
        ("'*'.toInteger()", None),
        ("active.toInteger() = 1", True),
        ("'1.50'.toDecimal() = 1.5", True),
        ("multipleBirth.toString() = '2'", True),
        ("active.toString() = 'true'", True),
        ("extension('nested').extension.value.toString() = '1.50'", True),
        ("birthDate.toString().length() = 10", True),
        ("'4 days'.toQuantity() = 4 days", True),
        ("'yes'.toBoolean()", True),
        ("'perhaps'.convertsToBoolean()", False),
        ("'3'.convertsToInteger()", True),
        ("deceased.toString().toDate() = @2024-05-01", True),
        ("iif(birthDate < @2000, 'old', 'young') = 'old'", True),
        ("telecom.iif(empty(), true, where(system = 'fax').exists())", False),
        ("photo.iif(empty(), true, false)", True),
    ],
    "string-manipulation": [
        ("'abcdefg'.indexOf('bc') = 1", True),
        ("'abcdefg'.indexOf('x') = -1", True),
        ("'abcdefg'.substring(3) = 'defg'", True),
        ("'abcdefg'.substring(1, 2) = 'bc'", True),
        ("'abcdefg'.substring(6, 2) = 'g'", True),
        ("'abcdefg'.substring(7, 1)", None),
        ("'abc'.upper() = 'ABC'", True),
        ("'ABC'.lower() = 'abc'", True),
        ("'abcabc'.replace('bc', 'x') = 'axax'", True),
        ("'abc'.replace('', 'x') = 'xaxbxcx'", True),
        ("'a\\nb'.matches('^a.b$')", True),
        ("'11/30/1972'.matches('\\\\d{2}/\\\\d{2}')", True),
        ("'a.b.c'.replaceMatches('\\\\..*', '') = 'a'", True),
        ("' a '.trim() = 'a'", True),
        ("'a,b'.split(',').count() = 2", True),
        ("name.given.join('-') = 'Văn-An-An'", True),
        ("photo.url.upper()", None),
    ],
    "tree-navigation": [
        ("children().ofType(HumanName).given.first() = 'Văn'", True),
        ("children().count() = 19", True),
        ("gender.children().count() = 0", True),
        ("descendants().where($this is decimal).count() = 3", True),
        ("descendants().reference contains '#c'", True),
        ("descendants().ofType(code).exists($this = 'female')", True),
        ("descendants().given.count() = 3", True),
        ("descendants().url contains 'deep'", True),
        ("descendants().extension('deep').value = 1.5", True),
        ("contained.children().where($this = 'female').exists()", True),
        ("contained.gender = 'female'", True),
    ],
    "utility-functions": [
        ("now() > @2020-01-01T00:00:00Z", True),
        ("birthDate < today()", True),
        ("today() = today()", True),
        ("timeOfDay() >= @T00:00:00", True),
        ("name.trace('seen').exists()", True),
    ],
    "equality": [
        ("birthDate = @1975-02-03", True),
        ("birthDate = @1975", None),
        ("birthDate != @1975", None),
        ("birthDate = @1976", False),
        ("deceased = @2024-05-01T03:00:00Z", True),
        ("deceased = @2024-05-01T03:00:00.0Z", True),
        ("extension('mass').value = 3.5 'kg'", True),
        ("extension('mass').value = 3500 'g'", None),
        ("extension('mass').value != 4 'kg'", True),
        ("active = 1", False),
    ],
    "equivalence": [
        ("'A  b' ~ 'a B'", True),
        ("'a' ~ 'b'", False),
        ("{} ~ {}", True),
        ("'a' ~ {}", False),
        ("1.04 ~ 1.0", True),
        ("1.04 ~ 1.05", False),
        ("name.given ~ ('Văn' | 'An').combine('An')", True),
        ("birthDate ~ @1975", False),
        ("birthDate !~ @1975", True),
        ("maritalStatus.coding[0] ~ maritalStatus.coding[1]", False),
        ("maritalStatus ~ maritalStatus", True),
        ("1 year ~ 12 months", True),
    ],
    "comparison": [
        ("telecom[0].rank > 1", True),
        ("telecom[0].rank <= 1", False),
        ("'abc' < 'abd'", True),
        ("birthDate < @1975-02-04", True),
        ("birthDate < @1976", True),
        ("birthDate <= @1975", None),
        ("birthDate > @1975", None),
        ("birthDate >= @1975-02-03", True),
        ("birthDate < deceased", True),
        ("deceased > @2024-05-01", None),
        ("deceased > @2024-04-29", True),
        ("extension('year').value < birthDate", None),
        ("extension('mass').value > 3 'kg'", True),
        ("extension('mass').value > 3 'g'", None),
        ("extension('age').value >= 216 months", True),
        ("photo.size > 3", None),
        ("active > 1", None),
        ("name.given < 'x'", None),
    ],
    "types": [
        ("birthDate is System.Date", True),
        ("active.is(FHIR.boolean)", True),
        ("birthDate.type().name = 'date'", True),
        ("contained.type().name = 'Practitioner'", True),
        ("deceased is dateTime", True),
        ("deceased is boolean", False),
    ],
    "math": [
        ("1 + 2 * 3 = 7", True),
        ("(1 + 2) * 3 = 9", True),
        ("7 / 2 = 3.5", True),
        ("1 / 0", None),
        ("7 div 2 = 3", True),
        ("-7 div 2 = -3", True),
        ("7 mod 2 = 1", True),
        ("-7 mod 2 = -1", True),
        ("5.5 mod 0.7 = 0.6", True),
        ("7 div 0", None),
        ("7 mod 0", None),
        ("-multipleBirth = -2", True),
        ("-(1 + 1) < 0", True),
        ("'a' + 'b' = 'ab'", True),
        ("'a' + {}", None),
        ("'a' & {} = 'a'", True),
        ("(name.count() + telecom.count()) = 4", True),
        ("multipleBirth + 0.5 = 2.5", True),
        ("1 'mg' + 2 'mg' = 3 'mg'", True),
        ("1 'mg' + 2 'kg'", None),
        ("2 * 3 'mg' = 6 'mg'", None),
        ("3 'mg' * 2 = 6 'mg'", True),
    ],
    "date-time-arithmetic": [
        ("birthDate + 18 years = @1993-02-03", True),
        ("birthDate + 18 years < today()", True),
        ("birthDate - 34 days = @1974-12-31", True),
        ("@2024-01-31 + 1 month = @2024-02-29", True),
        ("@2024-02-29 + 1 year = @2025-02-28", True),
        ("@2024 + 25 months = @2026", True),
        ("@2024-03 - 61 days = @2024-01", True),
        ("@2024-05-01T23:30:00Z + 1 hour = @2024-05-02T00:30:00Z", True),
        ("deceased + extension('age').value > @2041", True),
        ("@9999 + 1 year", None),
        ("birthDate + 1 'kg'", None),
    ],
    "r4-additions": [
        ("%resource.id = 'p' and %rootResource.id = 'p' and %context.id = 'p'", True),
        ("name.all(%context.active)", True),
        ("text.`div`.htmlChecks()", True),
        ("generalPractitioner[0].resolve().gender = 'female'", True),
        ("generalPractitioner.resolve().all($this is Practitioner)", True),
        ("managingOrganization.resolve() is Organization", True),
        ("managingOrganization.resolve().name.exists()", False),
        ("maritalStatus.memberOf('http://v')", None),
        ("conformsTo('http://p')", None),
        ("maritalStatus.subsumes(maritalStatus)", None),
    ],
    "left to a library": [
        ("name.given.aggregate($total + $this.length(), 0) = 7", True),
        ("name.where($index = 1).use = 'usual'", True),
        ("multipleBirth.power(2) = 4", True),
        ("birthDate.matches('^19') and 4.sqrt() = 2", True),
        ("name[name.count() - 1].use.trace('seen') = 'usual'", True),
        ("generalPractitioner.where($index = 0).resolve().gender = 'female'", True),
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
def test_invariant(expression: str, expected: bool | None) -> None:
    assert compile_invariant(expression, "Patient")(PATIENT) is expected


ORGANIZATION = {"resourceType": "Organization", "id": "o", "name": "Trạm y tế"}
AROUND = Reach(
    resolve=lambda link: ORGANIZATION if link == {"reference": "Organization/o"} else None,
    conforms=lambda value, url: value["resourceType"] == url.rpartition("/")[2],
    member=lambda value_set, system, code: {"M": True, "x": None}.get(code, False),
    subsumes=lambda system, one, other: one == other,
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("managingOrganization.resolve().name = 'Trạm y tế'", True),
        ("managingOrganization.resolve() is Organization", True),
        ("managingOrganization.resolve() is Patient", False),
        ("managingOrganization.resolve().conformsTo('http://x/Organization')", True),
        ("generalPractitioner.resolve().count() = 2", True),
        ("contained.conformsTo('http://x/Patient')", False),
        ("maritalStatus.memberOf('http://v')", True),
        ("maritalStatus.coding[0].memberOf('http://v')", True),
        ("maritalStatus.coding[1].memberOf('http://v')", None),
        ("telecom[0].system.memberOf('http://v')", False),
        ("maritalStatus.subsumes(maritalStatus.coding[0])", True),
        ("maritalStatus.coding[0].subsumedBy(maritalStatus.coding[1])", None),
    ],
)
def test_what_lies_around(expression: str, expected: bool | None) -> None:
    """https://hl7.org/fhir/R4/fhirpath.html#functions"""
    assert compile_invariant(expression, "Patient")(PATIENT, None, AROUND) is expected
