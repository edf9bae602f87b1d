"""https://hl7.org/fhir/R4/references.html#literal"""

import pytest

from ehr_server.fhir import json, references
from ehr_server.fhir.references import Reference, mentioned, parse

HERE = "http://here/fhir"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Patient/1", Reference("local", "Patient/1", "Patient", "1")),
        ("Patient/1/_history/2", Reference("local", "Patient/1", "Patient", "1", "2")),
        (f"{HERE}/Patient/1", Reference("local", "Patient/1", "Patient", "1")),
        (f"{HERE}2/Patient/1", Reference("absolute", f"{HERE}2/Patient/1", "Patient", "1")),
        (
            "https://there/x/Patient/1/_history/2",
            Reference("absolute", "https://there/x/Patient/1", "Patient", "1", "2"),
        ),
        ("#med", Reference("contained", "med")),
        ("urn:uuid:0c3151bd", Reference("urn", "urn:uuid:0c3151bd")),
        ("urn:oid:1.2.3", Reference("urn", "urn:oid:1.2.3")),
        (
            "Practitioner?identifier=a|b",
            Reference(
                "conditional", "Practitioner?identifier=a|b", "Practitioner", query="identifier=a|b"
            ),
        ),
        ("http://x.org/q|2.0", Reference("canonical", "http://x.org/q", version="2.0")),
        ("http://x.org/q", Reference("canonical", "http://x.org/q")),
        ("Dr. Lan", Reference("other", "Dr. Lan")),
        ("", Reference("other", "")),
        ("Patient/", Reference("other", "Patient/")),
        ("Patient/a b", Reference("other", "Patient/a b")),
    ],
)
def test_a_reference_is_taken_apart(text: str, reference: Reference) -> None:
    assert parse(text, HERE) == reference


def test_long_texts_are_not_kept() -> None:
    """A cache of megabytes would be a way to fill the memory."""
    before = references._cached.cache_info().currsize
    parse("http://example.org/" + "x" * 100_000)
    assert references._cached.cache_info().currsize == before


def test_references_are_read_from_the_bytes_of_a_content() -> None:
    """Those of contained resources and extensions too; none that a text speaks of."""
    said = 'She wrote "reference":"Patient/4" here'
    content = json.write(
        {
            "subject": {"reference": "Patient/1"},
            "contained": [{"performer": [{"reference": f"{HERE}/Practitioner/2"}]}],
            "extension": [{"valueReference": {"reference": "#inside"}}],
            "note": [{"text": said}],
            "data": {"reference": {"reference": "Patient/3"}},
        }
    )
    found = [(one.kind, one.type, one.id) for one in mentioned(content, HERE)]
    assert found == [
        ("local", "Patient", "1"),
        ("local", "Practitioner", "2"),
        ("contained", None, None),
        ("local", "Patient", "3"),
    ]
