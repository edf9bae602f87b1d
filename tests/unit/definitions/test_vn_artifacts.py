"""The local profiles and code lists, as files: that they are sound and hang together.

https://hl7.org/fhir/R4/profiling.html. What the profiles say of resources is asked in
`tests/spec/test_vn_profiles.py`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import shipped
from ehr_server.fhir import json
from ehr_server.fhirpath import compile_path
from ehr_server.identity import provinces
from ehr_server.identity.folding import fold
from ehr_server.identity.kinds import KINDS, kind_of
from ehr_server.validation import check
from make_profiles_page import PAGE, page

ROOT = Path(__file__).parents[3] / "profiles" / "vn"
BASE = "http://ehr-server.org/fhir/vn"
APPLIES = f"{BASE}/StructureDefinition/applies-when"
TYPES = "http://hl7.org/fhir/StructureDefinition/"
Resource = dict[str, Any]


def _resources(folder: str) -> dict[str, Resource]:
    return {
        path.stem: json.read(path.read_bytes()) for path in sorted((ROOT / folder).glob("*.json"))
    }


ARTIFACTS = [
    (path, json.read(path.read_bytes()))
    for path in sorted(ROOT.glob("*/*.json"))
    if path.parent.name != "examples"
]
STRUCTURES = _resources("StructureDefinition")
CODE_SYSTEMS = _resources("CodeSystem")
VALUE_SETS = _resources("ValueSet")
PATHS = [pytest.param(path, one, id=f"{path.parent.name}/{path.stem}") for path, one in ARTIFACTS]


def _url(kind: str, name: str) -> str:
    return f"{BASE}/{kind}/{name}"


def _codes(system: str) -> list[str]:
    return [concept["code"] for concept in CODE_SYSTEMS[system]["concept"]]


# The files


@pytest.mark.parametrize(("path", "resource"), PATHS)
def test_an_artifact_keeps_to_r4(path: Path, resource: Resource) -> None:
    assert check(resource, path.parent.name) == []


@pytest.mark.parametrize(("path", "resource"), PATHS)
def test_an_artifact_is_named_as_its_file(path: Path, resource: Resource) -> None:
    """The catalog finds url and version without decoding: it needs both at this depth."""
    assert resource["id"] == path.stem
    if path.parent.name == "NamingSystem":
        return
    assert resource["url"] == _url(path.parent.name, path.stem)
    found = shipped().find(path.parent.name, resource["url"])
    assert found is not None
    assert found.version == resource["version"]


@pytest.mark.parametrize(("path", "resource"), PATHS)
def test_an_artifact_speaks_vietnamese_first_and_english_beside(
    path: Path, resource: Resource
) -> None:
    for name in ("title", "description"):
        if name in resource:
            assert resource[name]
            assert _translation(resource[f"_{name}"], "en")


def _translation(sibling: Resource, language: str) -> str:
    """https://hl7.org/fhir/R4/extension-translation.html"""
    for one in sibling["extension"]:
        parts = {part["url"]: part for part in one["extension"]}
        if parts["lang"]["valueCode"] == language:
            return str(parts["content"]["valueString"])
    return ""


def test_the_page_of_the_reference_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/make_profiles_page.py"


# The profiles


def _element_type(path: str, element: Resource) -> str:
    """The type of an element of the standard; of a choice the first one that is left."""
    types = definitions().types
    name, *steps = path.split(".")
    for step in steps:
        of = types[name].elements[step.removesuffix("[x]")].types
        narrowed = [one["code"] for one in element.get("type", ())]
        name = of[0] if len(of) == 1 else (narrowed or list(of))[0]
    return name


def _elements(profile: str) -> list[Resource]:
    elements: list[Resource] = STRUCTURES[profile]["differential"]["element"]
    return elements


@pytest.mark.parametrize("profile", STRUCTURES)
def test_an_element_is_one_of_the_standard(profile: str) -> None:
    for element in _elements(profile):
        assert element["path"] == re.sub(r":[^.]+", "", element["id"])
        assert element["path"].split(".")[0] == STRUCTURES[profile]["type"]
        assert _element_type(element["path"], element)


@pytest.mark.parametrize("profile", STRUCTURES)
def test_a_slice_stands_after_what_is_sliced(profile: str) -> None:
    """By the profile itself, or by the local one that it derives from."""
    ids = [element["id"] for element in _elements(profile)]
    assert len(set(ids)) == len(ids)
    is_root = STRUCTURES[profile]["baseDefinition"].startswith(TYPES)
    for element in _elements(profile):
        before, _, name = element["id"].rpartition(".")[2].partition(":")
        assert element.get("sliceName", "") == name
        if name and is_root:
            sliced = element["id"].removesuffix(f":{name}")
            assert sliced in ids[: ids.index(element["id"])], before


@pytest.mark.parametrize("profile", STRUCTURES)
def test_what_an_element_names_is_there(profile: str) -> None:
    for element in _elements(profile):
        for type_ in element.get("type", ()):
            for url in (*type_.get("profile", ()), *type_.get("targetProfile", ())):
                is_type = url.removeprefix(TYPES) in definitions().types
                assert is_type or shipped().find("StructureDefinition", url), url
        if "binding" in element:
            assert shipped().find("ValueSet", element["binding"]["valueSet"])


@pytest.mark.parametrize("profile", STRUCTURES)
def test_a_profile_derives_from_one_that_is_there(profile: str) -> None:
    base = STRUCTURES[profile]["baseDefinition"]
    is_type = base.removeprefix(TYPES) in definitions().types
    assert is_type or shipped().find("StructureDefinition", base)


@pytest.mark.parametrize(
    "profile", [name for name, one in STRUCTURES.items() if one["type"] != "Extension"]
)
def test_a_profile_of_resources_says_when_it_applies(profile: str) -> None:
    structure = STRUCTURES[profile]
    criteria = [one["valueString"] for one in structure["extension"] if one["url"] == APPLIES]
    assert len(criteria) == 1
    compile_path(criteria[0], structure["type"])


def _constraints() -> Iterator[Any]:
    for name in STRUCTURES:
        for element in _elements(name):
            for constraint in element.get("constraint", ()):
                yield pytest.param(element, constraint, id=f"{name} {constraint['key']}")


CONSTRAINTS = list(_constraints())


@pytest.mark.parametrize(("element", "constraint"), CONSTRAINTS)
def test_an_invariant_compiles(element: Resource, constraint: Resource) -> None:
    compile_path(constraint["expression"], _element_type(element["path"], element))


@pytest.mark.parametrize(("element", "constraint"), CONSTRAINTS)
def test_an_invariant_says_where_and_how_to_mend_in_two_languages(
    element: Resource, constraint: Resource
) -> None:
    english, vietnamese = constraint["human"], _translation(constraint["_human"], "vi")
    for text in (english, vietnamese):
        place, colon, rest = text.partition(":")
        assert colon
        assert place.startswith(element["path"].split(".")[0])
        assert rest.count(". ") >= 1, "what is wrong, then how to mend it"
    assert re.search(r"[ạảãàáâậầấẩẫăắằặẳẵđêệềếểễôộồốổỗơợờớởỡưựừứửữ]", vietnamese)


def test_a_key_means_one_rule() -> None:
    """A key stands for one rule wherever it is used, so that findings can be counted by it."""
    severities: dict[str, set[str]] = {}
    for parameter in CONSTRAINTS:
        constraint = parameter.values[1]
        severities.setdefault(constraint["key"], set()).add(constraint["severity"])
    assert [key for key, several in severities.items() if len(several) > 1] == []


# The code lists


@pytest.mark.parametrize("system", CODE_SYSTEMS)
def test_a_code_comes_once_and_is_counted(system: str) -> None:
    codes = _codes(system)
    assert len(set(codes)) == len(codes) == CODE_SYSTEMS[system]["count"]
    assert all(concept["display"] for concept in CODE_SYSTEMS[system]["concept"])


@pytest.mark.parametrize("value_set", VALUE_SETS)
def test_a_value_set_draws_on_systems_that_are_there(value_set: str) -> None:
    for include in VALUE_SETS[value_set]["compose"]["include"]:
        system = include["system"]
        if system.startswith(BASE):
            codes = _codes(system.rpartition("/")[2])
            assert all(concept["code"] in codes for concept in include.get("concept", ()))
        else:
            assert include["concept"], "of a system that is not ours the codes are listed"


@pytest.mark.parametrize(
    ("system", "codes"),
    [
        ("health-class", [str(number) for number in range(1, 6)]),
        ("checkup-subject-group", [str(number) for number in range(1, 17)]),
        ("funding-source", ["1", "2", "3", "4", "5", "9"]),
        ("ethnic-group", [*(f"{number:02}" for number in range(1, 56)), "99"]),
        ("bhyt-benefit-level", [str(number) for number in range(1, 6)]),
    ],
)
def test_the_codes_are_those_of_the_decisions(system: str, codes: list[str]) -> None:
    """QĐ 1613/BYT-QĐ (classes), QĐ 2062/QĐ-BYT (groups, funding), QĐ 1351/QĐ-BHXH (levels)."""
    assert _codes(system) == codes


def test_the_forms_of_the_checkup_fall_into_three_age_groups() -> None:
    """QĐ 1551/QĐ-BYT: 17 forms; under 6, 6 to under 18, 18 and over."""
    groups = [concept["property"][0]["valueCode"] for concept in _concepts("checkup-form")]
    assert len(groups) == 17
    assert set(groups) == {"under-6", "6-17", "18-over"}


def _concepts(system: str) -> list[Resource]:
    concepts: list[Resource] = CODE_SYSTEMS[system]["concept"]
    return concepts


# The reform of 2025-07-01


def test_the_provinces_are_those_that_identity_cards_are_read_by() -> None:
    assert set(_codes("province-2008")) == set(provinces.BEFORE_REFORM)
    assert set(_codes("province-2025")) == set(provinces.SINCE_REFORM)
    for code, name in provinces.SINCE_REFORM.items():  # folded: Thanh Hoá is Thanh Hóa
        assert fold(_display("province-2025", code)).endswith(fold(name))


def _display(system: str, code: str) -> str:
    return str(next(one["display"] for one in _concepts(system) if one["code"] == code))


@pytest.mark.parametrize("code", ["15", "24", "44", "52", "80", "82", "91"])
def test_seven_codes_changed_their_meaning(code: str) -> None:
    """15 was Yên Bái and is Lào Cai: a code says something only with the system of its time."""
    assert _display("province-2008", code) not in _display("province-2025", code)


def test_every_old_province_leads_to_a_new_one() -> None:
    """NQ 202/2025/QH15: 11 provinces stayed as they were, 52 became 23."""
    mapping = json.read((ROOT / "ConceptMap" / "province-2008-to-2025.json").read_bytes())
    (group,) = mapping["group"]
    targets = {row["code"]: row["target"][0] for row in group["element"]}
    assert set(targets) == set(_codes("province-2008"))
    assert {target["code"] for target in targets.values()} == set(_codes("province-2025"))
    kept = [code for code, target in targets.items() if target["equivalence"] == "equal"]
    assert kept == ["01", "04", "11", "12", "14", "20", "22", "38", "40", "42", "46"]
    assert (targets["10"]["code"], targets["15"]["code"]) == ("15", "15")
    for target in targets.values():
        assert target["display"] == _display("province-2025", target["code"])


COMMUNES = {
    "01": 126, "04": 56, "08": 124, "11": 45, "12": 38, "14": 75, "15": 99, "19": 92, "20": 65,
    "22": 54, "24": 99, "25": 148, "31": 114, "33": 104, "37": 129, "38": 166, "40": 130,
    "42": 69, "44": 78, "46": 40, "48": 94, "51": 96, "52": 135, "56": 65, "66": 102, "68": 124,
    "75": 95, "79": 168, "80": 96, "82": 102, "86": 124, "91": 102, "92": 103, "96": 64,
}  # fmt: skip


def test_every_commune_lies_in_a_province_that_is_there() -> None:
    """QĐ 19/2025/QĐ-TTg: 3,321 communes of 34 provinces, five digits each."""
    wards = _concepts("ward-2025")
    assert len(wards) == 3321
    assert all(re.fullmatch(r"\d{5}", ward["code"]) for ward in wards)
    assert Counter(ward["property"][0]["valueCode"] for ward in wards) == COMMUNES


@pytest.mark.parametrize(
    ("code", "province", "name"),
    [
        ("00301", "01", "Phường Vĩnh Hưng"),
        ("08995", "01", "Xã Tiến Thắng"),
        ("09661", "01", "Xã Minh Châu"),
        ("17476", "40", "Xã Minh Châu"),
        ("18196", "42", "Xã Sơn Kim 1"),
    ],
)
def test_communes_that_people_know_are_where_they_are(code: str, province: str, name: str) -> None:
    """Names are not unique: two communes are called Minh Châu."""
    (ward,) = [one for one in _concepts("ward-2025") if one["code"] == code]
    assert ward["display"] == name
    assert ward["property"][0] == {"code": "province", "valueCode": province}


# Identifiers


def test_naming_systems_are_those_that_the_server_understands() -> None:
    for name, naming in _resources("NamingSystem").items():
        values = [one["value"] for one in naming["uniqueId"]]
        kinds = {kind_of(value) for value in values} - {None}
        if name != "ma-lk":
            assert len(kinds) == 1, name
            assert None not in {kind_of(value) for value in values}, name
        (preferred,) = [one["value"] for one in naming["uniqueId"] if one["preferred"]]
        assert preferred in {kind.system for kind in KINDS}
