"""A query in plain words: a table of searches of every kind, and what is said of them."""

from textwrap import dedent
from urllib.parse import parse_qsl

import pytest

from ehr_server.definitions import definitions
from ehr_server.search.parse import parse
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules
from ehr_server.search.told import told
from searching import HANOI, HERE


def span(lo: str, hi: str) -> str:
    """Of whole years."""
    return f"[{lo}-01-01T00:00:00+07:00, {hi}-01-01T00:00:00+07:00)"


def query(search: str, *, lenient: bool = False) -> Query:
    type_name, _, text = search.partition("?")
    pairs = parse_qsl(text, keep_blank_values=True)
    return parse(type_name, pairs, Rules(HANOI, HERE, lenient=lenient))


def of_criteria(search: str) -> str:
    """What is said of the criteria, without the first line and the margin."""
    lines = told(query(search), HANOI)
    end = next(at for at, line in enumerate(lines) if line.startswith("Order: "))
    return dedent("\n".join(lines[1:end])).partition("\n")[2]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        # strings
        (
            "Patient?name=Hoa",
            'name begins, or has a word that begins, with "hoa", case and accents aside',
        ),
        (
            "Patient?name=Nguyễn Thị Hoa",
            'name has words that begin with "nguyen", "thi" and "hoa", in any order, '
            "case and accents aside",
        ),
        ("Patient?name:exact=Hòa", 'name is exactly "Hòa"'),
        ("Patient?family:contains=OA", 'family contains "oa", case and accents aside'),
        ("Patient?address=Hà Nội", 'address begins with "ha noi", case and accents aside'),
        ("Patient?_filter=name eq hoa", 'name is "hoa", case and accents aside'),
        ("Patient?_filter=name ew oa", 'name ends with "oa", case and accents aside'),
        # tokens
        ("Patient?_id=1", "_id is 1"),
        ("Patient?active=false", "active is false"),
        (
            "Patient?active=true",
            "one at least of:\n    active is true\n    active has no value",
        ),
        ("Patient?phone=0912 345 678", "phone is …"),
        ("Patient?gender=male", "gender is male"),
        ("Observation?code=1234-5", "code is 1234-5, of whichever system"),
        ("Observation?code=http://loinc.org|1234-5", "code is 1234-5 of http://loinc.org"),
        ("Observation?code=|1234-5", "code is 1234-5, without a system"),
        ("Observation?code=http://loinc.org|", "code has any code of http://loinc.org"),
        ("Patient?gender=http://x|male", "gender is in another system: no match"),
        ("Patient?identifier=http://x|5", "identifier is 5 of http://x"),
        (
            "Patient?identifier:of-type=http://s|MR|5",
            "identifier is 5 and of the type mr of http://s",
        ),
        (
            "Observation?code:text=Huyết áp",
            'code is called something that begins with "huyet ap", case and accents aside',
        ),
        # dates, [lo, hi)
        ("Patient?birthdate=2024", f"birthdate lies within {span('2024', '2025')}"),
        ("Patient?birthdate=ne2024", f"birthdate does not lie within {span('2024', '2025')}"),
        ("Patient?birthdate=gt2024", f"birthdate ends after {span('2024', '2025')}"),
        ("Patient?birthdate=lt2024", f"birthdate begins before {span('2024', '2025')}"),
        (
            "Patient?birthdate=ge2024",
            f"birthdate lies within {span('2024', '2025')}, or ends after it",
        ),
        (
            "Patient?birthdate=le2024",
            f"birthdate lies within {span('2024', '2025')}, or begins before it",
        ),
        ("Patient?birthdate=sa2024", f"birthdate begins after {span('2024', '2025')} is over"),
        ("Patient?birthdate=eb2024", f"birthdate ends before {span('2024', '2025')} begins"),
        (
            "Patient?_filter=birthdate po 2024",
            f"birthdate shares a moment with {span('2024', '2025')}",
        ),
        ("Patient?_filter=birthdate co 2024", f"birthdate covers all of {span('2024', '2025')}"),
        (
            "Observation?date=2024-05-01T08:30Z",
            "date lies within [2024-05-01T15:30:00+07:00, 2024-05-01T15:31:00+07:00)",
        ),
        # numbers and quantities
        ("RiskAssessment?probability=0.5", "probability is 0.5, so within [0.45, 0.55)"),
        ("RiskAssessment?probability=ne0.5", "probability is not 0.5, so outside of [0.45, 0.55)"),
        ("RiskAssessment?probability=ap0.5", "probability is about 0.5, so within [0.45, 0.55]"),
        ("RiskAssessment?probability=gt1e2", "probability is more than 100"),
        ("RiskAssessment?probability=le1e30", "probability is 1E+30 or less"),
        (
            "Observation?value-quantity=5.40",
            "value-quantity is 5.40, so within [5.395, 5.405), in any unit",
        ),
        (
            "Observation?value-quantity=lt5.4|http://unitsofmeasure.org|mg",
            "value-quantity is less than 5.4, "
            "in mg of UCUM or any unit that can be converted into it",
        ),
        (
            "Observation?value-quantity=ge5||mg",
            "value-quantity is 5 or more, in mg, by the unit's code or its name",
        ),
        (
            "Invoice?totalnet=gt5|urn:iso:std:iso:4217|VND",
            "totalnet is more than 5, in VND of urn:iso:std:iso:4217",
        ),
        # references and addresses
        ("Observation?patient=1", "patient (here: subject) refers to Patient/1"),
        ("Observation?subject=Group/1", "subject refers to Group/1"),
        (
            "Observation?subject=1",
            "subject refers to the id 1 of Device, Group, Location or Patient",
        ),
        (
            "Observation?encounter=Encounter/1/_history/2",
            "encounter refers to Encounter/1/_history/2",
        ),
        ("Observation?subject=http://there/Patient/1", "subject refers to http://there/Patient/1"),
        (
            "Observation?subject:identifier=http://x|5",
            "subject refers to what has the identifier 5 of http://x",
        ),
        ("ValueSet?url=http://a/b", "url is http://a/b"),
        ("ValueSet?url:below=http://a/b", "url is http://a/b, or an address below it"),
        ("Location?near=10.78|106.7|5|km", "near lies within 5 km of 10.78, 106.7"),
        (  # of a composite what must stand together
            "Observation?component-code-value-quantity=1234-5$gt5",
            "component-code-value-quantity has in the same Observation.component: "
            "component-code is 1234-5, of whichever system; "
            "and component-value-quantity is more than 5, in any unit",
        ),
        # there or not
        ("Patient?birthdate:missing=true", "birthdate has no value"),
        ("Observation?patient:missing=false", "subject to Patient has a value"),
    ],
)
def test_a_criterion(search: str, said: str) -> None:
    assert of_criteria(search).strip() == said


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            "Patient?gender=male,female",
            """
            one at least of:
              gender is male
              gender is female
            """,
        ),
        (
            "Patient?gender:not=male",
            """
            not so, or without a value:
              gender is male
            """,
        ),
        (
            "Observation?subject:Patient.organization.name=trạm",
            """
            subject refers to a Patient for which:
              organization refers to an Organization for which:
                name begins with "tram", case and accents aside
            """,
        ),
        (
            "Patient?_has:Observation:patient:code=1234-5",
            """
            an Observation refers to it as subject, for which:
              code is 1234-5, of whichever system
            """,
        ),
        (
            "Patient?_list=5",
            """
            a List refers to it as item, for which:
              _id is 5
            """,
        ),
        (
            "Observation?code-value-quantity=1234-5$gt5",
            """
            all of:
              code-value-quantity (here: code) is 1234-5, of whichever system
              code-value-quantity (here: value-quantity) is more than 5, in any unit
            """,
        ),
        (
            'Patient?_filter=name co "hoa" and not(active eq true or gender eq male)',
            """
            all of:
              name contains "hoa", case and accents aside
              not so, or without a value:
                one at least of:
                  active is true
                  gender is male
            """,
        ),
    ],
)
def test_a_tree(search: str, said: str) -> None:
    assert dedent(of_criteria(search)) == dedent(said).strip()


def test_the_whole() -> None:
    search = (
        "Patient?name=hoa&gender=male&_sort=-birthdate,family&_count=20&_total=none&_elements=name"
        "&_include=Patient:organization&_revinclude:iterate=Observation:subject:Patient&_page=abc&x=1"
    )
    assert told(query(search, lenient=True), HANOI) == [
        "Patient for which all of this holds:",
        "  name=hoa",
        '    name begins, or has a word that begins, with "hoa", case and accents aside',
        "  gender=male",
        "    gender is male",
        "Order: birthdate, latest first; family, from A to Z",
        "  of many, read by r.d1",
        "Page: at most 20, from the place that _page names",
        "Total: not told",
        "Along comes: what organization of Patient refers to",
        "Along comes: Observation that refers to what is found by subject, if it is a Patient; "
        "the same again from what came along",
        "Shown: name, and what is mandatory",
        "Left out, for there is no such parameter: x",
    ]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            "Medication",
            [
                "Order: what was stored last comes first (the usual one, as _sort is not there)",
                "  of many, read by r.key",
            ],
        ),
        (
            "Patient?_sort=name",
            [
                "Order: name, from A to Z",
                "  first those that have name; of many, read by the rows of the table string",
                "  then those without; of many, read by r.at",
            ],
        ),
        (
            "Observation?_sort=-value-quantity",
            [
                "Order: value-quantity, largest first",
                "  first those that have value-quantity; of many, read by r.q1",
                "  then those without; of many, read by r.at",
            ],
        ),
    ],
)
def test_an_order(search: str, said: list[str]) -> None:
    lines = told(query(search), HANOI)
    start = next(at for at, line in enumerate(lines) if line.startswith("Order: "))
    assert lines[start : start + len(said)] == said


def test_a_search_without_criteria_and_one_for_the_total() -> None:
    lines = told(query("Patient?_summary=count"), HANOI)
    assert lines[0] == "Patient, all there is"
    assert "Page: none, the total alone" in lines
    assert "Total: counted, however long that takes" in lines


def test_every_parameter_of_the_standard_can_be_told() -> None:
    values = {
        "date": "2024",
        "number": "1",
        "quantity": "1||mg",
        "special": "1|1",
        "reference": "x",
    }
    for type_name in definitions().resource_types:
        for code, sources in Rules(HANOI).parameters.of(type_name).by_code.items():
            parameter = sources[0].parameter
            value = values.get(
                parameter.type, "true" if parameter.types == {"boolean"} else "http://x"
            )
            assert told(query(f"{type_name}?{code}={value}"), HANOI)[2].startswith("    ")
