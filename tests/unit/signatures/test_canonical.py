"""The canonical form that is signed: `fhir.json.canonical`.

https://hl7.org/fhir/R4/json.html#canonical: "No whitespace other than single spaces in property
values and in the xhtml in the Narrative", "Order properties alphabetically". Beyond that, RFC 8785,
but for decimals.
"""

import json as plain

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from api.signing import canonical as by_the_guide
from ehr_server.errors import Invalid
from ehr_server.fhir import json

_NAMES = st.text(st.sampled_from("_abcXYZ019"), min_size=1, max_size=6)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
_VALUES = st.recursive(
    st.none() | st.booleans() | _WHOLE | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=20,
)
_RESOURCES = st.dictionaries(_NAMES, _VALUES, max_size=6)


@given(_RESOURCES, st.booleans())
def test_without_decimals_it_is_that_of_rfc_8785(resource: object, is_ascii: bool) -> None:
    text = plain.dumps(resource, indent=1, ensure_ascii=is_ascii)
    assert json.canonical(text.encode()) == rfc8785.dumps(resource)  # type: ignore[arg-type]


@given(
    st.dictionaries(
        _NAMES, st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}([eE][+-]?[0-9]{1,2})?\Z")
    )
)
def test_decimals_keep_their_digits(values: dict[str, str]) -> None:
    text = "{" + ",".join(f'"{name}" : {digits}' for name, digits in values.items()) + "}"
    made = json.canonical(text.encode())
    expected = ",".join(f'"{name}":{values[name]}' for name in sorted(values))
    assert made == f"{{{expected}}}".encode()
    assert made == by_the_guide(text, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b": 107.50, "a": 1}', b'{"a":1,"b":107.50}'),
        ('{"a": 1.0e2}', b'{"a":1.0e2}'),
        ('{"a": 0.00000010}', b'{"a":0.00000010}'),
        ('{"a": -0.0}', b'{"a":-0.0}'),
        ('{"a": 100000000000000000000.10}', b'{"a":100000000000000000000.10}'),
        (
            '{"name": [{"text": "Ph\\u1ea1m Thị Ngọp"}]}',
            '{"name":[{"text":"Phạm Thị Ngọp"}]}'.encode(),
        ),
        (
            '{"a": "\\/ \\" \\\\ \\t \\u001F \\u007f \\ud83d\\ude00"}',
            '{"a":"/ \\" \\\\ \\t \\u001f \x7f 😀"}'.encode(),
        ),
        ('\ufeff{"B": 1, "a": 2, "_a": {"y": 1, "x": [ ]}}', b'{"B":1,"_a":{"x":[],"y":1},"a":2}'),
    ],
)
def test_examples(text: str, expected: bytes) -> None:
    assert json.canonical(text.encode()) == expected


def test_letters_that_are_composed_and_decomposed_are_not_the_same() -> None:
    """The bytes of a text are signed: https://hl7.org/fhir/R4/datatypes.html#string."""
    composed, decomposed = '{"a":"ộ"}', '{"a":"o\u0323\u0302"}'
    assert json.canonical(composed.encode()) != json.canonical(decomposed.encode())


def test_properties_are_left_out_at_the_top_alone() -> None:
    text = b'{"signature": {"a": 1}, "entry": [{"signature": 1.50}], "id": "x"}'
    assert json.canonical(text, ("signature", "id")) == b'{"entry":[{"signature":1.50}]}'


def test_a_whole_number_that_is_too_large_is_refused() -> None:
    with pytest.raises(Invalid):
        json.canonical(b'{"a": 123456789012345678901234567890}')
