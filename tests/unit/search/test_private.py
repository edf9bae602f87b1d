"""What of a search stands in no link: https://hl7.org/fhir/R4/http.html#search"""

from base64 import urlsafe_b64decode
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest

from ehr_server.errors import Invalid
from ehr_server.search.parse import parse
from ehr_server.search.private import SEALED, revealed, shown
from ehr_server.search.rules import Rules

KEY = bytes(range(32))
RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"))
HERE = ("Patient",)


def private(search: str) -> list[str]:
    """The names of the parameters of `Patient?identifier=…` that are private."""
    type_name, _, text = search.partition("?")
    return [name for name, _ in parse(type_name, parse_qsl(text), RULES).private]


@pytest.mark.parametrize(
    "search",
    [
        "Patient?identifier=001174000456",
        "Patient?identifier=http://x|001174000456,http://x|5",
        "Patient?identifier:not=5",
        "Patient?identifier:of-type=http://x|NI|5",
        "Patient?identifier:text=card",
        "Patient?link.identifier=5",
        "Patient?_has:RelatedPerson:patient:identifier=http://x|5",
        "Patient?_has:Coverage:beneficiary:identifier=5",
        "Patient?organization:identifier=01001",
        "Patient?_filter=name eq hoa and identifier eq 5",
        "Patient?_filter=not(general-practitioner.identifier eq 5)",
        "Patient?name=001174000456",
        "Patient?_content=0011 7400 0456",
        "Observation?patient.identifier=5",
        "Observation?subject:Patient.identifier=5",
        "Observation?subject:identifier=http://x|5",
        "Encounter?subject.organization.identifier=5",
        "DocumentReference?relatesto.identifier=5",
        "MedicationRequest?identifier=5",
        "ServiceRequest?requisition=5",
        "Specimen?accession=5",
        "Observation?patient=Patient/001174000456",
        "Observation?patient=Patient/001-174-000-456",
        "Observation?subject=Patient/B1234567",
        "Patient?_id=a,001174000456",
        "Patient?name=００１１７４０００４５６",
        "Patient?_content=thẻ 001 - 174",
        "Patient?_list=001174000456",
        "Patient?phone=0912",
        "Patient?_has:Observation:patient:_has:AuditEvent:entity:entity-name=001174000456",
    ],
)
def test_what_may_be_somebodys_number(search: str) -> None:
    assert private(search) == [search.partition("?")[2].partition("=")[0]]


@pytest.mark.parametrize(
    "search",
    [
        "Patient?name=hoa&birthdate=1974-05-20",
        "Patient?identifier:missing=true",
        "Patient?name=2026-10-05",
        "Patient?_id=a,b",
        "Patient?_id=2026-10-05",
        "Patient?organization=Organization/01001",
        "Patient?_lastUpdated=ge2026-11-22T08:15:30.123456%2B07:00",
        "Observation?code=http://snomed.info/sct|271649006",
        "Observation?component-code-value-quantity=1234-5$gt5",
        "Observation?patient=Patient/his-1234567890",
        "Patient?_id=01kb0b123456789g6h7j8k9m0n",
        "Patient?_count=5&_sort=name&_include=Patient:organization",
    ],
)
def test_what_is_no_number(search: str) -> None:
    assert private(search) == []


PAIRS = [("name", "hoa"), ("identifier", "001174000456"), ("_sort", "name"), ("identifier", "5")]
SECRET = {PAIRS[1], PAIRS[3]}


def test_what_is_private_is_sealed_and_comes_back_in_its_place() -> None:
    told = shown(PAIRS, SECRET, HERE, KEY)
    assert [name for name, _ in told] == [SEALED, "name", "_sort"]
    assert b"1174" not in urlsafe_b64decode(told[0][1] + "==")
    assert revealed(told, HERE, KEY) == (tuple(PAIRS), (PAIRS[1], PAIRS[3]))


def test_what_is_added_to_a_link_stays_after_it() -> None:
    told = [*shown(PAIRS, SECRET, HERE, KEY), ("_page", "x")]
    assert revealed(told, HERE, KEY)[0] == (*PAIRS, ("_page", "x"))


def test_a_search_without_numbers_is_shown_as_it_is() -> None:
    assert shown(PAIRS, set(), HERE, KEY) == PAIRS
    assert revealed(PAIRS, HERE, KEY) == (tuple(PAIRS), ())


def test_a_form_and_its_links_are_one_search() -> None:
    told = shown(PAIRS, SECRET, ("Patient", "_search"), KEY)
    assert revealed(told, HERE, KEY)[0] == tuple(PAIRS)


@pytest.mark.parametrize("token", ["", "AAAA", "ế", None])
def test_a_token_of_another_search_is_refused(token: str | None) -> None:
    sealed = token or shown(PAIRS, SECRET, ("Observation",), KEY)[0][1]
    with pytest.raises(Invalid, match="follow a link as it stands") as refusal:
        revealed([(SEALED, sealed)], HERE, KEY)
    assert refusal.value.expression == (SEALED,)
