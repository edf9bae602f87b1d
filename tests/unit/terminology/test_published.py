"""Code lists from the files in which they are published."""

from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from ehr_server import validation
from ehr_server.terminology.concepts import concepts_of
from ehr_server.terminology.listing import Wish, expanded
from ehr_server.terminology.published import Head, ListError, read
from unit.terminology.lists import terminology, value_set

HEAD = Head("http://hl7.org/fhir/sid/icd-10", "2019")


def _read(folder: Path, name: str, text: str, form: str = "csv") -> dict[str, Any]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read(path, form, HEAD)


def test_a_plain_table(tmp_path: Path) -> None:
    table = "code,display,parent,display_vi\nA00-A09,Infections,,\nA00,Cholera,A00-A09,Bệnh tả\n"
    made = _read(tmp_path, "icd.csv", table)
    assert (made["url"], made["version"], made["count"]) == (HEAD.system, "2019", 2)
    assert validation.check(made) == []
    concepts = concepts_of(made)
    assert concepts.parents == {1: (0,)}
    assert concepts.display(1, "vi") == "Bệnh tả"


@pytest.mark.parametrize("mark", ["\t", ";"])
def test_tabs_and_semicolons_and_the_mark_of_spreadsheets(tmp_path: Path, mark: str) -> None:
    made = _read(tmp_path, "a.txt", f"\ufeffcode{mark}display\nA00{mark}Cholera, any\n")
    assert made["concept"] == [{"code": "A00", "display": "Cholera, any"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,name\nA,x\n", "display"),
        ("code,display\nA,x\nA,y\n", "A stands in it twice"),
        ("code,display,parent\nA,x,B\n", "parent B of A"),
        ("code,display\n ,x\n", "line 2"),
        ("code,display\n", "no codes"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ListError, match=said):
        _read(tmp_path, "a.csv", text)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"code,display\nA,\xe9\n")
    with pytest.raises(ListError, match="UTF-8"):
        read(path, "csv", HEAD)


def test_loinc(tmp_path: Path) -> None:
    table = (
        '"LOINC_NUM","COMPONENT","CLASS","STATUS","SHORTNAME","LONG_COMMON_NAME"\n'
        '"8480-6","Intravascular systolic","BP","ACTIVE","BP sys","Systolic blood pressure"\n'
        '"1-8","X","CHEM","DEPRECATED","","Old"\n'
    )
    concepts = concepts_of(_read(tmp_path, "Loinc.csv", table, "loinc"))
    assert concepts.displays[0] == "Systolic blood pressure"
    assert [one.value for one in concepts.designations[0]] == ["BP sys"]
    assert ("CLASS", "BP") in [(one.code, one.value) for one in concepts.properties[0]]
    assert concepts.inactive == {1}
    assert not concepts.is_case_sensitive


def test_rf2(tmp_path: Path) -> None:
    places = {
        "sct2_Concept_Snapshot_INT.txt": "id\tactive\n138875005\t1\n404684003\t1\n5\t0\n",
        "sct2_Relationship_Snapshot_INT.txt": (
            "id\tactive\tsourceId\tdestinationId\ttypeId\n1\t1\t404684003\t138875005\t116680003\n"
            "2\t0\t138875005\t404684003\t116680003\n"
        ),
        "sct2_Description_Snapshot-en_INT.txt": (
            "id\tactive\tconceptId\tlanguageCode\ttypeId\tterm\n"
            "11\t1\t404684003\ten\t900000000000003001\tClinical finding (finding)\n"
            '12\t1\t404684003\ten\t900000000000013009\tClinical "finding"\n'
        ),
        "der2_cRefset_LanguageSnapshot-en_INT.txt": (
            "id\tactive\treferencedComponentId\tacceptabilityId\n"
            "x\t1\t12\t900000000000548007\nx\t1\t11\t900000000000548007\n"
        ),
    }
    for name, text in places.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    concepts = concepts_of(read(tmp_path, "rf2", Head("http://snomed.info/sct")))
    at = concepts.find("404684003")
    assert at is not None
    assert concepts.displays[at] == 'Clinical "finding"'
    assert [one.value for one in concepts.designations[at]] == ["Clinical finding (finding)"]
    assert [concepts.codes[one] for one in concepts.parents[at]] == ["138875005"]
    assert concepts.find("5") is None


CLAML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE ClaML SYSTEM "ClaML.dtd">
<ClaML version="2.0.0"><Title name="ICD-10" version="2019">ICD-10</Title>
<ModifierClass modifier="S04" code=".0"><SuperClass code="S04"/>
 <Rubric kind="preferred"><Label xml:lang="en">With coma</Label></Rubric></ModifierClass>
<Class code="IV" kind="chapter"><SubClass code="E11"/>
 <Rubric kind="preferred"><Label xml:lang="en">Endocrine</Label></Rubric></Class>
<Class code="E11" kind="category"><SuperClass code="IV"/><ModifiedBy code="S04"/>
 <Rubric kind="inclusion"><Label xml:lang="en">not this</Label></Rubric>
 <Rubric kind="preferred"><Label xml:lang="en">Diabetes
  <Reference>O24</Reference></Label>
  <Label xml:lang="vi">Đái tháo đường</Label></Rubric></Class></ClaML>
"""


def test_claml(tmp_path: Path) -> None:
    made = _read(tmp_path, "icd.xml", CLAML, "claml")
    concepts = concepts_of(made)
    assert concepts.codes == ["IV", "E11", "E11.0"]
    assert concepts.displays == ["Endocrine", "Diabetes", "Diabetes: With coma"]
    assert concepts.parents == {1: (0,), 2: (1,)}
    assert concepts.display(1, "vi") == "Đái tháo đường"
    assert validation.check(made) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', "entities"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "entities"),
        ("<ClaML><Class", "well-formed"),
        ("<x/>", "no codes"),
    ],
)
def test_xml_that_is_no_code_list(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ListError, match=said):
        _read(tmp_path, "a.xml", text, "claml")


def test_15_000_codes_in_seconds(tmp_path: Path) -> None:
    lines = ["code,display,parent,display_vi"]
    for number in range(15_000):
        code, parent = f"X{number}", f"X{number // 10}" if number else ""
        lines.append(f"{code},Disease of the kind {number},{parent},Bệnh loại {number}")
    began = perf_counter()
    made = _read(tmp_path, "icd.csv", "\n".join(lines))
    given = terminology(made, value_set({"system": HEAD.system}))
    assert given.has("http://example.org/set", HEAD.system, "X14999") is True
    loaded_s = perf_counter() - began
    groups = given.groups("http://example.org/set")
    wish = Wish("benh 149", count=20)
    expanded(groups, wish)
    began = perf_counter()
    found = expanded(groups, wish)
    page_s = perf_counter() - began
    print(f"15,000 codes: read and asked in {loaded_s:.2f} s, a page in {page_s * 1000:.1f} ms")
    assert (found["total"], len(found["contains"])) == (111, 20)
    assert loaded_s < 5
    assert page_s < 0.05
