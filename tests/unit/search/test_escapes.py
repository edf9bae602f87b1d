"""https://hl7.org/fhir/R4/search.html#escaping"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.search.escapes import split, unescape
from ehr_server.search.malformed import Malformed


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\,|$" else c for c in text)


@given(st.lists(st.text(alphabet="ab\\,|$"), min_size=1), st.sampled_from(",|$"))
def test_what_is_escaped_comes_back(parts: list[str], mark: str) -> None:
    joined = mark.join(map(_escaped, parts))
    assert [unescape(part) for part in split(joined, mark)] == parts


@pytest.mark.parametrize("text", ["\\", "a\\", "\\a", "\\\\\\"])
def test_a_backslash_that_escapes_nothing_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        unescape(text)
