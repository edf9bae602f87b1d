"""Write the code systems of provinces and communes from a local file of facts.

    python tools/make_admin_units.py FULL_JSON_OF_THE_UNITS

The file is `json/full_json_generated_data_vn_units_*.json` of the repository
thanglequoc/vietnamese-provinces-database (MIT): codes and names of the 34 provinces and 3,321
communes since 2025-07-01, which it takes from the National Statistics Office. Written are
`profiles/vn/CodeSystem/province-2025.json` and `ward-2025.json`; the list of before that day,
`province-2008.json`, is history and kept by hand. Units change several times a year: a newer file
gives newer code systems, with the day of the facts as their version.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

_TARGET = Path(__file__).parent.parent / "profiles" / "vn" / "CodeSystem"
_BASE = "http://ehr-server.org/fhir/vn"
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_SOURCE = (
    "Codes and names: National Statistics Office of Vietnam (danhmuchanhchinh.nso.gov.vn), by way"
    " of github.com/thanglequoc/vietnamese-provinces-database, MIT licence, copyright (c) 2021"
    " Thang Le Quoc. Made by tools/make_admin_units.py."
)
_KINDS = {"Xã": "xa", "Phường": "phuong", "Đặc khu": "dac-khu"}

Resource = dict[str, Any]


def main(path: Path) -> None:
    """Write both code systems. A file with doubtful facts stops with AssertionError."""
    day = re.search(r"\d{4}-\d\d-\d\d", path.name)
    assert day, f"the name of {path.name} does not tell the day of its facts"
    units = sorted(json.loads(path.read_text(encoding="utf-8")), key=lambda unit: unit["Code"])
    wards = sorted((ward for unit in units for ward in unit["Wards"]), key=lambda w: w["Code"])
    _check(units, wards)
    for resource in (_provinces(units, day[0]), _wards(wards, day[0])):
        _write(resource)


def _check(units: list[Resource], wards: list[Resource]) -> None:
    provinces = [unit["Code"] for unit in units]
    assert len(set(provinces)) == len(units) == 34, "there are 34 provinces since 2025-07-01"
    assert len({ward["Code"] for ward in wards}) == len(wards), "a code of a commune comes twice"
    assert all(re.fullmatch(r"\d\d", code) for code in provinces)
    for ward in wards:
        assert re.fullmatch(r"\d{5}", ward["Code"]), ward
        assert ward["ProvinceCode"] in provinces, ward


def _provinces(units: list[Resource], day: str) -> Resource:
    concepts = [{"code": unit["Code"], "display": _name(unit)} for unit in units]
    return _code_system(
        "province-2025",
        day,
        ("Tỉnh, thành phố từ 01/7/2025", "Provinces since 2025-07-01"),
        "34 tỉnh, thành phố có hiệu lực từ ngày 01/7/2025 (NQ 202/2025/QH15). Bảy mã (15, 24, 44,"
        " 52, 80, 82, 91) có nghĩa khác với danh mục trước đó.",
        "The 34 provinces in force since 2025-07-01 (resolution 202/2025/QH15). Seven codes (15,"
        " 24, 44, 52, 80, 82, 91) mean something else than in the list before.",
        concepts,
    )


def _wards(wards: list[Resource], day: str) -> Resource:
    properties = [
        {"code": "province", "type": "code", "description": f"A code of {_BASE}/CodeSystem/"
         "province-2025: the province the commune belongs to."},
        {"code": "kind", "type": "code", "description": "xa, phuong or dac-khu."},
    ]  # fmt: skip
    concepts = [
        {
            "code": ward["Code"],
            "display": _name(ward),
            "property": [
                {"code": "province", "valueCode": ward["ProvinceCode"]},
                {"code": "kind", "valueCode": _KINDS[ward["AdministrativeUnitShortName"]]},
            ],
        }
        for ward in wards
    ]
    return _code_system(
        "ward-2025",
        day,
        ("Xã, phường, đặc khu từ 01/7/2025", "Communes since 2025-07-01"),
        "Xã, phường, đặc khu có hiệu lực từ ngày 01/7/2025, mã 5 chữ số, giữ số 0 ở đầu.",
        "The communes in force since 2025-07-01: 5 digits, with leading zeros.",
        concepts,
    ) | {"property": properties, "concept": concepts}


def _name(unit: Resource) -> str:
    return unicodedata.normalize("NFC", unit["FullName"])


def _code_system(
    id_: str, day: str, title: tuple[str, str], vi: str, en: str, concepts: list[Resource]
) -> Resource:
    return {
        "resourceType": "CodeSystem",
        "id": id_,
        "language": "vi",
        "url": f"{_BASE}/CodeSystem/{id_}",
        "version": day,
        "name": "Vn" + "".join(word.capitalize() for word in id_.split("-")),
        "title": title[0],
        "_title": _in_english(title[1]),
        "status": "active",
        "experimental": False,
        "date": day,
        "publisher": "ehr-server",
        "description": vi,
        "_description": _in_english(en),
        "copyright": _SOURCE,
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }


def _in_english(text: str) -> Resource:
    parts = [{"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": text}]
    return {"extension": [{"url": _TRANSLATION, "extension": parts}]}


def _write(resource: Resource) -> None:
    """Indented by 2, but a concept on one line: a changed commune is a changed line."""
    concepts = resource.pop("concept")
    head = json.dumps(resource, ensure_ascii=False, indent=2).removesuffix("\n}")
    lines = ",\n".join(f"    {json.dumps(concept, ensure_ascii=False)}" for concept in concepts)
    text = f'{head},\n  "concept": [\n{lines}\n  ]\n}}\n'
    _TARGET.joinpath(f"{resource['id']}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
