"""What a Binary says of content that is kept beside it: `ehr_server.fhir.kept`."""

import base64

import pytest

from ehr_server.fhir import json
from ehr_server.fhir.kept import (
    EXTENSION,
    Kept,
    inlined,
    inlined_length,
    kept_in,
    kept_of,
    tells_of_kept,
    with_kept,
    without_kept,
)

BINARY = {"resourceType": "Binary", "id": "1", "contentType": "image/png"}
KEPT = Kept(12, 10, b"\x01" * 20, b"\x02" * 32)


def test_what_is_said_is_read_again() -> None:
    told = with_kept({**BINARY, "data": "AAAA"}, KEPT)
    assert "data" not in told
    assert kept_of(told) == KEPT
    assert kept_in(json.write(told)) == KEPT
    assert without_kept(told) == BINARY


def test_other_extensions_of_the_data_stay() -> None:
    other = {"url": "http://clinic.example/page", "valueInteger": 3}
    binary = {**BINARY, "_data": {"extension": [other]}}
    assert not tells_of_kept(binary)
    told = with_kept(with_kept(binary, KEPT), KEPT)
    assert [one["url"] for one in told["_data"]["extension"]] == [other["url"], EXTENSION]
    assert without_kept(told) == binary


@pytest.mark.parametrize(
    "element",
    [
        None,
        [],
        {"extension": {}},
        {"extension": [1, {}]},
        {"extension": [{"url": EXTENSION}]},
        {"extension": [{"url": EXTENSION, "valueAttachment": {"id": "x"}}]},
        {"extension": [{"url": EXTENSION, "valueAttachment": []}]},
    ],
)
def test_what_is_no_word_of_ours_names_nothing(element: object) -> None:
    assert kept_of({**BINARY, "_data": element}) is None


def test_a_mention_elsewhere_names_nothing() -> None:
    assert kept_in(json.write({"resourceType": "Patient", "x": EXTENSION})) is None


@pytest.mark.parametrize(
    "parts", [[b"abc", b"defghi", b"j"], [b"abcdefghij"], [b"abcdef", b"ghij"]]
)
def test_the_content_stands_in_its_place_piece_by_piece(parts: list[bytes]) -> None:
    content = json.write(with_kept(BINARY, KEPT))
    whole = b"".join(inlined(content, parts))
    assert len(whole) == inlined_length(content, KEPT)
    data = base64.b64encode(b"abcdefghij").decode()
    assert json.read(whole) == {**BINARY, "data": data}
