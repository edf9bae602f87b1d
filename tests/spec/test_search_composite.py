"""https://hl7.org/fhir/R4/search.html#combining: every composite parameter of R4.

"The composite parameter searches for both in the same place": wherever a resource has several
places, one of these cases has both values in it, but not in the same one.
"""

from typing import Any

import pytest

from ehr_server.definitions import definitions
from properties.gate_resources import made
from searching import Record

covers = pytest.mark.covers

LOINC, LOCAL, UCUM = "http://loinc.org", "http://benhvien.vn/xn", "http://unitsofmeasure.org"


def _concept(*codings: tuple[str, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


def _mmhg(value: float) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]", "unit": "mmHg"}}


def _observation(id_: str, code: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final",
        "code": _concept((LOINC, code)), **rest,
    }  # fmt: skip


def _component(code: str, **value: Any) -> dict[str, Any]:
    return {"code": _concept((LOINC, code), (LOCAL, f"x{code}")), **value}


def _document(id_: str, *relations: tuple[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference", "id": id_, "status": "current",
        "content": [{"attachment": {"url": "http://x.org/a"}}],
        "relatesTo": [
            {"code": code, "target": {"reference": f"DocumentReference/{target}"}}
            for code, target in relations
        ],
    }  # fmt: skip


def _trait(code: str, value: str, *, exclude: bool = False) -> dict[str, Any]:
    return {"code": _concept((LOCAL, code)), "valueCodeableConcept": _concept((LOCAL, value)),
            "exclude": exclude}  # fmt: skip


def _group(id_: str, *traits: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Group", "id": id_, "type": "person", "actual": True,
            "characteristic": list(traits)}  # fmt: skip


def _sequence(
    id_: str, of: str, window: tuple[int, int], *variants: tuple[int, int]
) -> dict[str, Any]:
    """Of a chromosome, or of a reference sequence where that is named: one of them (msq-6)."""
    concept = _concept((LOCAL, of))
    named = {"chromosome": concept, "genomeBuild": "GRCh38"}
    return {
        "resourceType": "MolecularSequence", "id": id_, "coordinateSystem": 0,
        "referenceSeq": {
            **({"referenceSeqId": concept} if of.startswith("NC") else named),
            "strand": "watson", "windowStart": window[0], "windowEnd": window[1],
        },
        "variant": [{"start": start, "end": end} for start, end in variants],
    }  # fmt: skip


RECORD = [
    # the whole of an Observation
    _observation("high", "8480-6", **_mmhg(150)),
    _observation("low", "8480-6", **_mmhg(110)),
    _observation("other", "8867-4", **_mmhg(150)),
    _observation("yes", "2106-3", valueCodeableConcept=_concept((LOCAL, "pos"))),
    _observation("no", "2106-3", valueCodeableConcept=_concept((LOCAL, "neg"))),
    _observation("said", "8661-1", valueString="Đau đầu"),
    _observation("day", "11778-8", valueDateTime="2024-09-01"),
    _observation("weeks", "11778-8", valuePeriod={"start": "2024-08-20", "end": "2024-09-05"}),
    # components: the same codes and values, otherwise paired
    _observation("bp", "85354-9", component=[
        _component("8480-6", **_mmhg(150)), _component("8462-4", **_mmhg(80)),
    ]),
    _observation("turned", "85354-9", component=[
        _component("8480-6", **_mmhg(80)), _component("8462-4", **_mmhg(150)),
    ]),
    _observation("kpa", "85354-9", component=[
        _component("8480-6", valueQuantity={"value": 20, "system": UCUM, "code": "kPa"}),
    ]),
    _observation("signs", "32485-0", component=[
        _component("1", valueCodeableConcept=_concept((LOCAL, "pos"))),
        _component("2", valueCodeableConcept=_concept((LOCAL, "neg"))),
    ]),
    _observation("unpaired", "32485-0", component=[_component("1"), _component("2")]),
    _document("new", ("replaces", "old"), ("appends", "older")),
    _document("newer", ("replaces", "older"), ("appends", "old")),
    _document("alone"),
    _group("men", _trait("gender", "male"), _trait("owner", "female")),
    _group("women", _trait("gender", "female"), _trait("owner", "male")),
    _sequence("one", "1", (10, 20), (1, 5), (8, 9)),
    _sequence("two", "1", (10, 30), (1, 9)),
    _sequence("three", "2", (10, 20), (1, 5)),
    _sequence("named", "NC_1", (10, 20), (1, 5), (8, 9)),
    _sequence("named-too", "NC_1", (10, 30), (1, 9)),
]  # fmt: skip
del RECORD[15]["relatesTo"]

CONTEXTUAL = sorted(
    type_name
    for type_name in definitions().resource_types
    if "context-type-value" in definitions().search_parameters[type_name]
)


def _in_use(type_name: str) -> list[dict[str, Any]]:
    """Two of a type, whose contexts hold the same otherwise paired."""

    def contexts(age: str, focus: str) -> list[dict[str, Any]]:
        years = {"value": 60, "system": UCUM, "code": "a"}
        return [
            {"code": {"system": LOCAL, "code": age}, "valueQuantity": years},
            {"code": {"system": LOCAL, "code": focus}, "valueCodeableConcept": _concept(
                (LOCAL, "flu"))},
            {"code": {"system": LOCAL, "code": "span"},
             "valueRange": {"low": {"value": 1}, "high": {"value": 5}}},
        ]  # fmt: skip

    resource = _least(type_name)
    return [
        {**resource, "id": "old-flu", "useContext": contexts("age", "focus")},
        {**resource, "id": "flu-old", "useContext": contexts("focus", "age")},
    ]


def _least(type_name: str) -> dict[str, Any]:
    """What is mandatory of a type, and what its rules ask beyond."""
    owed = {
        name
        for element in definitions().types[type_name].elements.values()
        if element.min > 0
        for name, _ in element.json_names()
    }
    made_ones = (made(type_name, seed) for seed in range(50))
    least = (
        {name: value for name, value in one.items() if name in {"resourceType", *owed}}
        for one in made_ones
    )
    return next(one for one in least if "?" not in str(one)) | _ASKED.get(type_name, {})


_ASKED: dict[str, dict[str, Any]] = {
    "CapabilityStatement": {
        "kind": "requirements", "description": "x", "rest": [{"mode": "server"}],
    },
    "StructureDefinition": {
        "abstract": True, "kind": "resource", "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}]},
    },
    "TerminologyCapabilities": {"kind": "requirements", "description": "x"},
}  # fmt: skip


@pytest.fixture(scope="module")
def in_use(here: Record) -> Record:
    here.put(*(one for type_name in CONTEXTUAL for one in _in_use(type_name)))
    return here


def check(here: Record, address: str, ids: set[str]) -> None:
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"{address}&_count=0")).total == len(ids)


CASES = [
    ("Observation?code-value-quantity=8480-6$gt140", {"high"}),
    (f"Observation?code-value-quantity={LOINC}|8480-6$lt140|{UCUM}|mm[Hg]", {"low"}),
    (f"Observation?code-value-quantity={LOINC}|8480-6$150", {"high"}),
    ("Observation?code-value-quantity=8480-6$gt140,8867-4$gt140", {"high", "other"}),
    ("Observation?code-value-quantity=8480-6$gt140&code-value-quantity=8867-4$gt1", set()),
    ("Observation?code-value-quantity=85354-9$gt1", set()),
    ("Observation?code-value-concept=2106-3$pos", {"yes"}),
    (f"Observation?code-value-concept={LOINC}|2106-3${LOCAL}|neg", {"no"}),
    (f"Observation?code-value-concept={LOCAL}|2106-3${LOCAL}|neg", set()),
    ("Observation?code-value-string=8661-1$dau", {"said"}),
    ("Observation?code-value-string=8661-1$nang", set()),
    ("Observation?code-value-date=11778-8$2024-09", {"day"}),
    ("Observation?code-value-date=11778-8$ge2024-09-02", {"weeks"}),
    ("Observation?code-value-date=8661-1$2024-09", set()),
    ("Observation?component-code-value-quantity=8480-6$gt140", {"bp"}),
    ("Observation?component-code-value-quantity=8480-6$150", {"bp"}),
    ("Observation?component-code-value-quantity=8462-4$gt140", {"turned"}),
    (f"Observation?component-code-value-quantity={LOCAL}|x8462-4$gt140", {"turned"}),
    (f"Observation?component-code-value-quantity={LOCAL}|8462-4$gt140", set()),
    (f"Observation?component-code-value-quantity={LOINC}|$gt140||mmHg", {"bp", "turned"}),
    (f"Observation?component-code-value-quantity=8480-6$gt140|{UCUM}|mm[Hg]", {"bp", "kpa"}),
    (f"Observation?component-code-value-quantity=8480-6$lt15|{UCUM}|kPa", {"turned"}),
    (
        "Observation?component-code-value-quantity=8480-6$150,8462-4$150",
        {"bp", "turned"},
    ),
    (
        "Observation?component-code-value-quantity=8480-6$150"
        "&component-code-value-quantity=8462-4$80",
        {"bp"},
    ),
    ("Observation?component-code-value-concept=1$pos", {"signs"}),
    (f"Observation?component-code-value-concept={LOCAL}|x2${LOCAL}|neg", {"signs"}),
    ("Observation?component-code-value-concept=1$neg", set()),
    ("Observation?combo-code-value-quantity=8480-6$gt140", {"high", "bp"}),
    ("Observation?combo-code-value-quantity=8480-6$lt100", {"turned", "kpa"}),
    ("Observation?combo-code-value-concept=2106-3$pos,1$pos", {"yes", "signs"}),
    ("Observation?combo-code-value-concept=1$neg", set()),
    # R4 names its components the wrong way round: first the code, then the target
    ("DocumentReference?relationship=replaces$DocumentReference/old", {"new"}),
    ("DocumentReference?relationship=appends$DocumentReference/old", {"newer"}),
    ("DocumentReference?relationship=replaces$old,appends$older", {"new"}),
    ("DocumentReference?relationship=signs$DocumentReference/old", set()),
    ("Group?characteristic-value=gender$male", {"men"}),
    (f"Group?characteristic-value={LOCAL}|owner${LOCAL}|male", {"women"}),
    ("Group?characteristic-value=gender$mixed", set()),
    ("MolecularSequence?chromosome-variant-coordinate=1$1$5", {"one"}),
    ("MolecularSequence?chromosome-variant-coordinate=1$1$9", {"two"}),
    ("MolecularSequence?chromosome-variant-coordinate=1$ge1$le5", {"one"}),
    ("MolecularSequence?chromosome-variant-coordinate=2$1$5", {"three"}),
    ("MolecularSequence?chromosome-window-coordinate=1$10$20", {"one"}),
    ("MolecularSequence?chromosome-window-coordinate=1$gt5$lt40", {"one", "two"}),
    ("MolecularSequence?chromosome-window-coordinate=3$gt5$lt40", set()),
    ("MolecularSequence?referenceseqid-variant-coordinate=NC_1$8$9", {"named"}),
    ("MolecularSequence?referenceseqid-variant-coordinate=NC_1$8$5", set()),
    ("MolecularSequence?referenceseqid-window-coordinate=NC_1$10$30", {"named-too"}),
]


@covers("composite", "value")
@pytest.mark.parametrize(("address", "ids"), CASES)
def test_both_are_met_in_the_same_place(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("composite", "value")
@pytest.mark.parametrize("type_name", CONTEXTUAL)
def test_a_context_of_use_is_found_with_its_kind(in_use: Record, type_name: str) -> None:
    """https://hl7.org/fhir/R4/metadatatypes.html#UsageContext"""
    for search, ids in (
        ("context-type-quantity=age$gt50", {"old-flu"}),
        (f"context-type-quantity={LOCAL}|focus$60|{UCUM}|a", {"flu-old"}),
        ("context-type-quantity=span$lt2", {"old-flu", "flu-old"}),
        ("context-type-quantity=age$lt2", set()),
        (f"context-type-value=focus${LOCAL}|flu", {"old-flu"}),
        ("context-type-value=age$flu", {"flu-old"}),
        ("context-type-value=span$flu", set()),
    ):
        check(in_use, f"{type_name}?{search}", ids)


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Observation?code-value-string=8661-1$\\$5", set()),
        ("Observation?component-code-value-quantity=8480-6$gt140&status=final", {"bp"}),
        (
            f"Observation?component-code-value-quantity=8480-6$gt140|{UCUM}|mm[Hg]"
            "&_sort=_lastUpdated&code=85354-9",
            {"bp", "kpa"},
        ),
    ],
)  # fmt: skip
def test_a_composite_goes_with_others(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


def test_every_composite_of_r4_is_asked_for() -> None:
    asked = {
        (type_name, search.partition("=")[0])
        for type_name, search in (address.split("?") for address, _ in CASES)
    }
    asked |= {(one, f"context-type-{kind}") for one in CONTEXTUAL for kind in ("quantity", "value")}
    every = {
        (type_name, code)
        for type_name in definitions().resource_types
        for code, definition in definitions().search_parameters[type_name].items()
        if definition.type == "composite"
    }
    assert asked == every
