"""Parts of contents: `ehr_server.store.blobs`."""

from hypothesis import given
from hypothesis import strategies as st

from ehr_server.store.blobs import PART_BYTES, between, cut
from ehr_server.store.contents import CURRENT, Contents, starter_dictionary


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(0, 90), st.integers(0, 90))
def test_a_stretch_of_pieces_is_that_of_the_whole(
    pieces: list[bytes], skipped: int, length: int
) -> None:
    found = b"".join(between(pieces, skipped, length))
    assert found == b"".join(pieces)[skipped : skipped + length]


def test_no_more_pieces_are_asked_for_than_needed() -> None:
    pieces = iter([b"ab", b"cd", b"ef"])
    assert list(between(pieces, 1, 2)) == [b"b", b"c"]
    assert next(pieces) == b"ef"


def test_content_is_cut_where_base64_can_be_joined() -> None:
    assert PART_BYTES % 3 == 0
    contents = Contents({CURRENT: starter_dictionary()})
    parts = cut(contents, bytes(2 * PART_BYTES + 1))
    sizes = [(one[0], len(contents.unpack(one[2], one[1]))) for one in parts]
    assert sizes == [(0, PART_BYTES), (1, PART_BYTES), (2, 1)]
