"""What becomes of two records that are merged, and when that is taken back.

https://hl7.org/fhir/R5/patient-operation-merge.html
"""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.identity.merging import has_link, source_of, taken, target_of, undone, without

_HL7 = "http://fhir.hl7.org.vn/core/sid/"
CCCD, CMND, MRN = f"{_HL7}cccd", f"{_HL7}cmnd", f"{_HL7}mrn"
MOH_CCCD = "http://fhir.ehealth.gov.vn/core/sid/national_id"
LAB = "http://lab.example/numbers"


def number(system: str, value: str, use: str = "") -> dict[str, str]:
    return {"system": system, "value": value, **({"use": use} if use else {})}


def record(id_: str, *identifiers: dict[str, Any], **more: Any) -> dict[str, Any]:
    given_ = {"identifier": list(identifiers)} if identifiers else {}
    return {"resourceType": "Patient", "id": id_, **given_, **more}


@pytest.mark.parametrize(
    ("target", "source", "further"),
    [
        ([], [number(CCCD, "001174000456")], [number(CCCD, "001174000456")]),
        (
            [number(CCCD, "001174000456")],
            [number(CCCD, "001174000457", "official")],
            [number(CCCD, "001174000457", "old")],
        ),
        ([number(CCCD, "001174000456")], [number(MOH_CCCD, "001 174 000 456", "usual")], []),
        ([number(CCCD, "001174000456")], [number(CCCD, "001174000456", "old")], []),
        (
            [number(CCCD, "001174000456", "old")],
            [number(CCCD, "001174000456", "usual")],
            [number(CCCD, "001174000456", "usual")],
        ),
        (
            [number(CCCD, "001174000456", "old"), number(CCCD, "001174000457")],
            [number(CCCD, "001174000456", "usual")],
            [],
        ),
        ([number(CCCD, "001174000456")], [number(MRN, "7")], [number(MRN, "7")]),
        ([number(LAB, "A")], [number(LAB, "a")], []),
        ([number(LAB, "A")], [number(LAB, "B")], [number(LAB, "B", "old")]),
        ([number(MRN, "A")], [number(LAB, "A")], [number(LAB, "A")]),
        ([], [number(LAB, "A", "old")], [number(LAB, "A", "old")]),
        ([], [{"value": "7"}, {"system": LAB}], [{"value": "7"}, {"system": LAB}]),
        ([{"system": LAB}], [{"system": LAB}], []),
    ],
)
def test_the_identifiers_of_both(
    target: list[dict[str, str]], source: list[dict[str, str]], further: list[dict[str, str]]
) -> None:
    """As old, but for a kind of which the target has none in use."""
    found = target_of(record("t", *target), record("s", *source))
    assert found.get("identifier", []) == [*target, *further]


def test_the_links_of_both() -> None:
    """https://hl7.org/fhir/R4/patient.html#links: each once, beside those that are there."""
    other = {"other": {"reference": "Patient/x"}, "type": "seealso"}
    source = source_of(record("s", active=True, link=[other]), "t")
    assert (source["active"], source["link"][0]) == (False, other)
    assert has_link(source, "t", "replaced-by")
    assert source_of(source, "t") == source
    target = target_of(record("t"), record("s"))
    assert has_link(target, "s", "replaces")
    assert not has_link(target, "s", "replaced-by")
    assert target_of(target, record("s")) == target


def test_the_numbers_that_came_by_way_of_another() -> None:
    own, came, other = number(CCCD, "1"), number(CCCD, "2", "old"), number(MRN, "3")
    gone = taken(record("t", own, {**came, "use": "usual"}), record("t", own))
    before = record("u", other)
    after = record("u", other, came)
    assert without(after, before, after, gone) == before
    ended = {**came, "period": {"end": "2026-11-26"}}
    assert without(record("u", ended), before, after, gone) == record("u")
    assert without(after, after, after, gone) == after


def test_a_number_that_came_goes_in_whatever_form_it_is_by_now() -> None:
    """One that the record had before stays, in any form."""
    own, came = number(CCCD, "001174000456"), number(CMND, "012345678")
    before, after = record("t", own), record("t", own, came)
    ended = {"period": {"end": "2026-11-26"}}
    now = record("t", {**own, **ended}, {**came, **ended}, number(LAB, "1"))
    assert undone(before, after, now) == record("t", {**own, **ended}, number(LAB, "1"))
    moh = number(MOH_CCCD, "001 174 000 456")
    assert undone(record("t", own), record("t"), record("t", moh)) == record("t", moh)
    spelt = record("t", moh, number(LAB, "1"))
    assert undone(record("t", own), record("t", moh), spelt) == record("t", number(LAB, "1"), own)


_identifiers = st.lists(
    st.builds(
        number,
        st.sampled_from((CCCD, CMND, MRN, LAB)),
        st.sampled_from(("1", "2", "3")),
        st.sampled_from(("", "old", "usual")),
    ),
    max_size=4,
)
_more = st.fixed_dictionaries(
    {},
    optional={
        "active": st.booleans(),
        "gender": st.sampled_from(("male", "female")),
        "telecom": st.lists(st.sampled_from("abc").map(lambda one: {"value": one}), min_size=1),
        "meta": st.just({"versionId": "1", "tag": [{"code": "x"}]}),
    },
)


def _records(id_: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda identifiers, more: record(id_, *identifiers, **more), _identifiers, _more
    )


@given(_records("s"), _records("t"))
def test_what_was_not_touched_is_exactly_as_before(
    source: dict[str, Any], target: dict[str, Any]
) -> None:
    given_ = deepcopy((source, target))
    for before, after in (
        (source, source_of(source, "t")),
        (target, target_of(target, source)),
    ):
        again = undone(before, after, deepcopy(after))
        assert _unversioned(again) == _unversioned(before)
        assert list(_unversioned(again)) == sorted(
            _unversioned(again), key=[*_unversioned(before)].index
        )
    assert (source, target) == given_


@given(_records("s"), _records("t"), _more)
def test_what_was_written_since_stays(
    source: dict[str, Any], target: dict[str, Any], written: dict[str, Any]
) -> None:
    """Whatever the merge does not touch is as it was written last."""
    after = target_of(target, source)
    again = undone(target, after, {**after, **written})
    assert again.get("identifier", []) == target.get("identifier", [])
    assert "link" not in again
    for name in ("active", "gender", "telecom"):
        assert again.get(name) == {**target, **written}.get(name)


def _unversioned(patient: dict[str, Any]) -> dict[str, Any]:
    meta = {name: one for name, one in patient.get("meta", {}).items() if name != "versionId"}
    rest = {name: one for name, one in patient.items() if name != "meta"}
    return {**rest, **({"meta": meta} if meta else {})}
