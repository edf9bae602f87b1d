"""Media types in headers: `ehr_server.fhir.media_types`."""

import time

import pytest

from ehr_server.errors import UnsupportedMediaType
from ehr_server.fhir.media_types import (
    MediaType,
    accepted,
    chosen,
    content_type,
    understood,
    wished,
)

_JSON, _XML = "application/fhir+json", "application/fhir+xml"


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("", []),
        (" , ,", []),
        ("application/fhir+json", ["application/fhir+json"]),
        ("Application/FHIR+JSON; charset=UTF-8", ["application/fhir+json"]),
        ("text/html, application/json;q=0.9, */*;q=0.8", ["text/html", "application/json", "*/*"]),
        ("a/b;q=0.2,c/d;q=0.9,e/f", ["e/f", "c/d", "a/b"]),
        ("a/b;q=0.5,c/d;q=0.5", ["a/b", "c/d"]),  # as written
        ("a/b; Q=0.1, c/d", ["c/d", "a/b"]),
        ("a/b;q=0,c/d;q=0.1", ["c/d", "a/b"]),  # what is refused comes last
        ('a/b;profile="x,y;q=0.1";q=0.3, c/d;q=0.4', ["c/d", "a/b"]),
    ],
)
def test_accept_in_the_order_of_preference(header: str, names: list[str]) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#name-quality-values"""
    assert [one.name for one in accepted(header)] == names


@pytest.mark.parametrize(
    ("written", "q"),
    [
        ("0", 0.0),
        ("0.333", 0.333),
        ("1.000", 1.0),
        (".5", 0.5),
        ("1.7", 1.0),
        ("high", 1.0),
        ("nan", 1.0),
        ("-1", 1.0),
        ("", 1.0),
    ],
)
def test_a_weight_that_is_none_counts_as_1(written: str, q: float) -> None:
    assert accepted(f"a/b;q={written}")[0].q == q


def test_parameters_are_kept_and_unquoted() -> None:
    found = content_type(r'application/fhir+json; fhirVersion=4.0; Profile="a;\"b\", c"')
    assert found == MediaType(_JSON, {"fhirversion": "4.0", "profile": 'a;"b", c'})


def test_no_content_type_has_no_name() -> None:
    assert content_type("").name == ""


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", _JSON),
        ("*/*", _JSON),
        ("application/*", _JSON),
        (_XML, _XML),
        (f"{_XML};q=0.8, {_JSON}", _JSON),
        (f"{_XML}, {_JSON}", _JSON),  # of equals the first that is served
        (f"{_JSON};q=0.1, {_XML};q=0.2", _XML),
        (f"{_JSON};q=0, */*", _XML),  # the narrowest range decides
        (f"*/*, {_JSON};q=0", _XML),
        (f"application/*;q=0.1, */*;q=0.9, {_XML};q=0.5", _XML),
        ("text/html", None),
        (f"{_JSON};q=0", None),
        ("*/*;q=0", None),
        ("text/*", None),
        (f"{_JSON};fhirVersion=4.0", _JSON),
        (f"{_JSON};fhirVersion=3.0", None),
        (f"{_JSON};fhirVersion=5.0, {_XML};fhirVersion=4.0", _XML),
    ],
)
def test_the_type_that_is_wished_for_most(accept: str, best: str | None) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1"""
    assert chosen(wished(accept, None), (_JSON, _XML)) == best


def test_format_overrides_accept() -> None:
    """https://hl7.org/fhir/R4/http.html#parameters"""
    assert [one.name for one in wished(_JSON, "xml")] == ["xml"]
    assert [one.name for one in wished(_JSON, "application/fhir xml")] == [_XML]
    assert [one.name for one in wished(_JSON, "")] == [_JSON]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "application/fhir+json",
        "application/fhir+json; charset=UTF-8",
        'application/fhir+json; charset="utf8"',
        "application/fhir+json; fhirVersion=4.0",
        "application/fhir+json; fhirVersion=4.0.1",
        "text/plain; charset=us-ascii",
    ],
)
def test_bodies_that_are_utf8_and_r4_are_understood(header: str) -> None:
    understood(header)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("application/fhir+json; charset=iso-8859-1", "iso-8859-1"),
        ("application/json;Charset=UTF-16", "UTF-16"),
        ("application/fhir+json; fhirVersion=3.0", "3.0"),
        ("application/fhir+json; fhirVersion=5.0", "5.0"),
    ],
)
def test_other_charsets_and_versions_are_415(header: str, says: str) -> None:
    """https://hl7.org/fhir/R4/http.html#version-parameter"""
    with pytest.raises(UnsupportedMediaType, match=says):
        understood(header)


@pytest.mark.parametrize("piece", ['"\\', '"', ",", ";", '\\"', "a/b;q=0.1,"])
def test_a_hostile_header_is_read_in_a_moment(piece: str) -> None:
    begun = time.perf_counter()
    accepted(piece * 30_000)
    content_type(piece * 30_000)
    assert time.perf_counter() - begun < 1
