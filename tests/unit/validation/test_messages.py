"""What findings say: how to mend it, in two languages, and nothing of a person's data."""

from typing import Any

import pytest

from ehr_server.validation import check

_SECRET = "001199012345"
_BAD: dict[str, Any] = {
    "resourceType": "Patient",
    "id": _SECRET + " x",
    _SECRET: "x",
    "identifier": [{"system": "http://a b/" + _SECRET, "value": 1199012345}],
    "name": [{"family": ["Secret"], "familie": "Secret"}],
    "birthDate": "1199-01-23-45",
    "gender": "0011 99012345 Secret",
    "generalPractitioner": [{"reference": "Secret " + _SECRET}],
    "text": {"status": "generated", "div": "<div>Secret</div>"},
    "maritalStatus": {"coding": [{"code": " Secret"}]},
}


def test_no_value_of_the_resource_is_repeated() -> None:
    found = check(_BAD)
    assert len(found) > 8
    for issue in found:
        said = f"{issue.text} {issue.vi} {issue.expression}"
        assert "Secret" not in said
        assert "99012345" not in said
        assert "1199-01" not in said


@pytest.mark.parametrize(
    ("resource", "english", "vietnamese"),
    [
        ({"resourceType": "Patient", "birthdate": "1990"}, '"birthDate"?', '"birthDate"?'),
        ({"resourceType": "Patiant"}, 'Did you mean "Patient"?', 'Có phải ý bạn là "Patient"?'),
        ({"resourceType": "Patient", "gender": "mail"}, "female, male", "Được phép: female, male"),
        ({"resourceType": "Patient", "gender": "mail"}, '"mail"', '"mail"'),
        ({"resourceType": "Patient", "name": {}}, "in [ ]", "mảng JSON"),
        ({"resourceType": "Patient", "birthDate": "1/2/1990"}, "YYYY-MM-DD", "YYYY-MM-DD"),
    ],
)
def test_it_says_how_to_mend_it(resource: dict[str, Any], english: str, vietnamese: str) -> None:
    (issue,) = check(resource)
    assert english in issue.text
    assert vietnamese in (issue.vi or "")


def test_there_are_at_most_a_hundred() -> None:
    assert len(check({"resourceType": "Patient", "name": [{"x": 1}] * 10_000})) == 100
