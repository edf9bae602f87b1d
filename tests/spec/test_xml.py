"""JSON to XML and back: https://hl7.org/fhir/R4/xml.html

All examples of R4 come back as they were, value for value and digit for digit.
"""

import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import make_refused_examples
from ehr_server.definitions import definitions
from ehr_server.definitions.from_xml import from_xml
from ehr_server.definitions.to_xml import to_xml
from ehr_server.fhir import json
from properties.gate_resources import made

_PACKAGE = Path(__file__).parents[2] / "cache" / make_refused_examples.PACKAGE
_DEPTH = 500  # the examples hold definitions that are nested deeper than records are


def _examples() -> Iterator[tuple[str, dict[str, Any]]]:
    with tarfile.open(_PACKAGE) as package:
        for member in package:
            file = package.extractfile(member) if member.name.endswith(".json") else None
            value = json.read(file.read(), _DEPTH) if file is not None else None
            if isinstance(value, dict) and "resourceType" in value:
                yield member.name, value


def _exact(value: Any) -> Any:
    """With numbers as their digits: Decimal('1.0') equals Decimal('1.00')."""
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) else value


@pytest.mark.slow
@pytest.mark.skipif(not _PACKAGE.is_file(), reason="the package is not in cache/")
def test_all_examples_come_back_the_same() -> None:
    count = 0
    for name, resource in _examples():
        assert _exact(from_xml(to_xml(resource), _DEPTH)) == _exact(resource), name
        count += 1
    assert count > 5000


@pytest.mark.parametrize("type_name", definitions().resource_types)
def test_what_is_made_up_comes_back_the_same(type_name: str) -> None:
    """A resource with many of its elements, of each type."""
    sent = json.read(json.write(made(type_name, 7)))
    assert _exact(from_xml(to_xml(sent))) == _exact(sent)
    assert _exact(from_xml(to_xml(sent, is_pretty=True))) == _exact(sent)


NOTE = {"extension": [{"url": "http://x.org/note", "valueString": "b"}]}
DIV = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class='a'>x &gt; y<br/>z</p><!-- c --></div>"


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "birthDate": "1974-05-20", "_birthDate": NOTE},
        {"resourceType": "Patient", "_birthDate": NOTE},
        {"resourceType": "Patient", "name": [{"given": ["a", "b"], "_given": [None, NOTE]}]},
        {"resourceType": "Patient", "name": [{"given": [None, "b"], "_given": [NOTE, None]}]},
        {"resourceType": "Patient", "name": [{"_given": [NOTE]}]},
        {"resourceType": "Patient", "name": [{"id": "n", "family": " a\tb\nc\r<&>\"' "}]},
        {"resourceType": "Patient", "text": {"status": "generated", "div": DIV}},
        {"resourceType": "Patient", "contained": [{"resourceType": "Organization", "id": "o"}]},
        {"resourceType": "Patient", "extension": [{"url": "u", "valueDecimal": Decimal("1.50")}]},
        {"resourceType": "Patient", "multipleBirthInteger": 2, "deceasedBoolean": False},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]},
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "a", "part": [{"name": "b", "resource": {"resourceType": "Patient"}}]}
            ],
        },
    ],
)
def test_what_is_particular_comes_back_the_same(resource: dict[str, Any]) -> None:
    assert _exact(from_xml(to_xml(resource))) == _exact(resource)


def test_elements_come_in_the_order_of_the_standard() -> None:
    """xml.html: "Elements SHALL always appear in the order defined in the documentation"."""
    resource = {"resourceType": "Patient", "gender": "male", "active": True, "id": "1"}
    text = to_xml(resource).decode()
    assert text.index("<id ") < text.index("<active ") < text.index("<gender ")


def test_where_a_schema_lies_is_passed_over() -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    sent = (
        f'<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="{xsi}" xsi:schemaLocation="a b">'
        "<!-- a comment --><active value='true'/></Patient>"
    )
    assert from_xml(sent.encode()) == {"resourceType": "Patient", "active": True}


def test_names_of_html_become_what_they_mean() -> None:
    """XML has no &nbsp;: in the narrative of JSON it may stand."""
    div = '<div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;b &amp; c</div>'
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    back = from_xml(to_xml(resource))["text"]["div"]
    assert back == div.replace("&nbsp;", "\u00a0")
