"""In which form a Binary is wished for: https://hl7.org/fhir/R4/binary.html"""

import pytest

from ehr_server.call import Request
from ehr_server.interactions.wished import Wish, wished

PDF = "application/pdf"


@pytest.mark.parametrize(
    ("accept", "own_type", "wish"),
    [
        ("", PDF, Wish.CONTENT),
        ("*/*", PDF, Wish.CONTENT),
        ("image/png", PDF, Wish.CONTENT),
        ("application/*", PDF, Wish.CONTENT),
        ("application/fhir+json", PDF, Wish.JSON),
        ("application/fhir+json; fhirVersion=4.0", PDF, Wish.JSON),
        ("Application/FHIR+JSON", PDF, Wish.JSON),
        ("application/fhir+xml", PDF, Wish.XML),
        ("application/fhir+json, */*", PDF, Wish.JSON),
        ("application/fhir+json;q=0.9, */*;q=0.1", PDF, Wish.JSON),
        ("application/fhir+json;q=0.1, */*;q=0.9", PDF, Wish.CONTENT),
        ("application/fhir+json;q=0", PDF, Wish.CONTENT),
        ("application/fhir+json;q=x", PDF, Wish.CONTENT),
        ("application/fhir+json;q=0.5, application/fhir+xml", PDF, Wish.XML),
        ("application/pdf, application/fhir+json", PDF, Wish.CONTENT),
        ("application/pdf;q=0.5, application/fhir+json", PDF, Wish.JSON),
        ("application/json", PDF, Wish.JSON),
        ("application/json", "application/json", Wish.CONTENT),
        ("application/fhir+json", "application/fhir+json", Wish.JSON),
        ("application/json, text/plain, */*", PDF, Wish.CONTENT),  # what scripts in browsers say
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PDF, Wish.CONTENT),
        ("application/xml", "text/html; charset=utf-8", Wish.XML),
        ("application/xml", "application/xml; charset=utf-8", Wish.CONTENT),
        ("text/xml", "application/xml", Wish.XML),
    ],
)
def test_the_content_unless_a_type_of_fhir_is_named(accept: str, own_type: str, wish: Wish) -> None:
    assert wished(Request("GET", ("Binary", "1"), (), {"accept": accept}), own_type) is wish


@pytest.mark.parametrize(
    ("format_", "wish"),
    [
        ("json", Wish.JSON),
        ("application/fhir json", Wish.JSON),  # the plus of an address is a space
        ("xml", Wish.XML),
        (PDF, Wish.CONTENT),
    ],
)
def test_the_parameter_wins_over_the_header(format_: str, wish: Wish) -> None:
    headers = {"accept": "application/fhir+json" if wish is Wish.CONTENT else PDF}
    assert wished(Request("GET", (), (("_format", format_),), headers), PDF) is wish
