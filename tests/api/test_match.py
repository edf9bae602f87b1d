"""Patient/$match: which records may be of the person that is sent.

https://hl7.org/fhir/R4/patient-operation-match.html
"""

from typing import Any

import httpx
import pytest

from api.merges import merge
from api.patients import CCCD, resident

pytestmark = pytest.mark.smoke

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
WARD = "http://fhir.hl7.org.vn/core/StructureDefinition/vn-ext-ward"

Found = list[tuple[str, str]]  # id and grade


def person(text: str, born: str = "1974-05-20", **more: Any) -> dict[str, Any]:
    """A Patient without numbers; `ward` is a code, the rest are elements."""
    ward = more.pop("ward", "08995")
    extension = [{"url": WARD, "valueCoding": {"code": ward}}]
    address = [{"extension": extension, "line": ["Số 7, Thôn Bạch Trữ"], "city": "Xã"}]
    return {
        "resourceType": "Patient",
        "name": [{"text": text}],
        "gender": "female",
        **({"birthDate": born} if born else {}),
        **({"address": address} if ward else {}),
        **more,
    }


def numbered(number: str, **more: Any) -> dict[str, Any]:
    return {"identifier": [{"system": CCCD, "value": number, **more}]}


def put(client: httpx.Client, id_: str, patient: dict[str, Any]) -> None:
    answer = client.put(f"/Patient/{id_}", json={**patient, "id": id_})
    assert answer.status_code == 201, answer.text


def asked(client: httpx.Client, patient: Any, **more: Any) -> httpx.Response:
    parameter = [{"name": "resource", "resource": patient}]
    for name, value in more.items():
        kind = "valueBoolean" if isinstance(value, bool) else "valueInteger"
        parameter.append({"name": name, kind: value})
    sent = {"resourceType": "Parameters", "parameter": parameter}
    return client.post("/Patient/$match", json=sent)


def matched(client: httpx.Client, patient: Any, **more: Any) -> Found:
    answer = asked(client, patient, **more)
    assert answer.status_code == 200, answer.text
    return [(one["resource"]["id"], grade(one)) for one in answer.json().get("entry", ())]


def grade(entry: dict[str, Any]) -> str:
    (extension,) = entry["search"]["extension"]
    assert extension["url"] == GRADE
    return str(extension["valueCode"])


def test_a_searchset_best_first_with_score_and_grade(client: httpx.Client) -> None:
    """ "The response ... is a bundle containing patient records, ordered from most likely to least
    likely" with "a search score from 0 to 1"."""
    put(client, "best-a", person("Lò Thị Pâng", "1971-03-12"))
    put(client, "best-b", person("Lò Thị Pầng", "1971-03-17"))
    answer = asked(client, person("LÒ THỊ PÂNG", "1971-03-12"))
    assert answer.status_code == 200
    bundle = answer.json()
    entries = bundle["entry"]
    assert (bundle["type"], bundle["total"]) == ("searchset", len(entries))
    assert [one["resource"]["id"] for one in entries] == ["best-a", "best-b"]
    assert grade(entries[0]) == "certain"
    scores = [one["search"]["score"] for one in entries]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert entries[0]["fullUrl"].endswith("/Patient/best-a")
    assert entries[0]["search"]["mode"] == "match"


def test_nobody_is_an_empty_searchset(client: httpx.Client) -> None:
    """ "If there are no patient matches, the MPI SHALL return an empty search set"."""
    answer = asked(client, person("Kpă H'Yư", "1931-12-30", ward="24000"))
    assert answer.status_code == 200
    assert "entry" not in answer.json()
    assert answer.json()["total"] == 0


def test_the_resource_may_be_the_body(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/operations.html#executing: the one parameter that is a resource can
    be posted by itself, the others stand in the address."""
    put(client, "alone", person("Nghiêm Thị Alone"))
    answer = client.post("/Patient/$match?count=1", json=person("Nghiêm Thị Alone"))
    assert answer.status_code == 200
    assert [one["resource"]["id"] for one in answer.json()["entry"]] == ["alone"]


def test_a_live_personal_number_makes_certain(client: httpx.Client) -> None:
    put(client, "number", resident("001174000111"))
    assert matched(client, {"resourceType": "Patient", **numbered("001174000111")}) == [
        ("number", "certain")
    ]
    other_name = person("Phan Thị Tên Khác", "1974-05-20", **numbered("001174000111"))
    assert ("number", "certain") in matched(client, other_name)


def test_a_number_that_all_else_contradicts_is_no_more_than_possible(client: httpx.Client) -> None:
    put(client, "mother", resident("001174000222"))
    child = person("Đỗ Minh Khang", "2019-08-01", gender="male", **numbered("001174000222"))
    assert ("mother", "possible") in matched(client, child)


def test_another_live_number_is_never_certain(client: httpx.Client) -> None:
    put(client, "twice", person("Tẩn Mùi Nái", **numbered("001174000333")))
    (found,) = matched(client, person("Tẩn Mùi Nái", **numbered("001174999999")))
    assert found in [("twice", "possible"), ("twice", "probable")]
    old = numbered("001174999999", use="old")
    assert matched(client, person("Tẩn Mùi Nái", **old)) == [("twice", "certain")]


@pytest.mark.parametrize(
    "sent",
    [
        person("BẠCH THỊ NGỌP"),  # capitals
        person("Bach Thi Ngop"),  # without tones
        person("Bạch Thị Ngọp", "1974-05-21"),  # a digit
        person("Bạch Thị Ngọc"),  # a slip in the given name
        person("Bạh Thị Ngọp"),  # in the family name
        person("Bạch Ngọp"),  # a word lost
        person("Ngọp Bạch Thị"),  # another order
        person("Bạch Thị Ngọp", "1974"),  # the year alone
        person("Bạch Thị Ngọp", ward="00301"),  # moved
        person("Bạch Thị Ngọp", ward=""),
    ],
)
def test_records_of_one_person_that_differ(client: httpx.Client, sent: dict[str, Any]) -> None:
    client.put("/Patient/ngop", json={**person("Bạch Thị Ngọp"), "id": "ngop"})
    assert matched(client, sent)[0][0] == "ngop"
    assert matched(client, sent)[0][1] in ("certain", "probable")


def test_day_and_month_exchanged(client: httpx.Client) -> None:
    put(client, "swapped", person("Cầm Thị Súa", "1981-03-11"))
    assert matched(client, person("Cầm Thị Súa", "1981-11-03"))[0] == ("swapped", "probable")


def test_twins_are_two(client: httpx.Client) -> None:
    """Of twins all agrees but the given name and the number."""
    kin = {
        "telecom": [{"system": "phone", "value": "0912345678"}],
        "contact": [
            {
                "relationship": [{"coding": [{"code": "MTH"}]}],
                "name": {"text": "Sùng Thị Dở"},
            }
        ],
    }
    put(client, "twin", person("Vàng Gia Bảo", "2020-02-02", **kin))
    assert ("twin", "certain") not in matched(client, person("Vàng Gia Huy", "2020-02-02", **kin))
    assert ("twin", "probable") not in matched(client, person("Vàng Gia Huy", "2020-02-02", **kin))


def test_by_telephone_number(client: httpx.Client) -> None:
    phone = [{"system": "phone", "value": "+84 987 654 321"}]
    put(client, "phone", person("Quàng Văn Ón", "1960", telecom=phone, ward="", gender="male"))
    local = [{"system": "phone", "value": "0987.654.321"}]
    sent = person("Quàng Ón", "1961", telecom=local, ward="", gender="male")
    assert [id_ for id_, _ in matched(client, sent)] == ["phone"]


def test_only_certain_matches_are_one_or_none(client: httpx.Client) -> None:
    """ "If there are multiple potential matches, then the match should not return the results with
    this flag set to true"."""
    put(client, "one", person("Chảo Láo Tả", "1990-09-09"))
    sent = person("Chảo Láo Tả", "1990-09-09")
    assert matched(client, sent, onlyCertainMatches=True) == [("one", "certain")]
    assert matched(client, person("Chảo Láo Tả", "1990"), onlyCertainMatches=True) == []
    put(client, "two", person("Chảo Láo Tả", "1990-09-09"))
    assert len(matched(client, sent)) == 2
    assert matched(client, sent, onlyCertainMatches=True) == []


def test_count_is_the_most_that_come(client: httpx.Client) -> None:
    for number in range(3):
        put(client, f"count-{number}", person("Thào Seo Chứ", "1988-08-08"))
    assert len(matched(client, person("Thào Seo Chứ", "1988-08-08"), count=2)) == 2
    answer = asked(client, person("Thào Seo Chứ", "1988-08-08"), count=0)
    assert (answer.json()["total"], answer.json().get("entry")) == (3, None)


def test_what_was_merged_or_deleted_does_not_come(client: httpx.Client) -> None:
    put(client, "kept", person("Lường Thị Kept"))
    merged = person(
        "Lường Thị Kept",
        active=False,
        link=[{"other": {"reference": "Patient/kept"}, "type": "replaced-by"}],
    )
    put(client, "merged", merged)
    put(client, "gone", person("Lường Thị Kept"))
    client.delete("/Patient/gone")
    assert [id_ for id_, _ in matched(client, person("Lường Thị Kept"))] == ["kept"]


def test_of_what_was_merged_the_record_that_survives_comes_once(client: httpx.Client) -> None:
    """The other name of a person, which only the merged record has, still leads to them."""
    put(client, "by-birth", person("Kiều Thị Ngân"))
    put(client, "by-marriage", person("Kiều Thị Kim Hằng", **numbered("001174000777")))
    answer = merge(client, "by-birth", "by-marriage")
    assert answer.status_code == 200, answer.text
    assert matched(client, person("Kiều Thị Ngân")) == [("by-marriage", "certain")]
    assert matched(client, person("Kiều Thị Kim Hằng")) == [("by-marriage", "certain")]


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"resourceType": "Parameters"}, 400, "resource"),
        ({"resourceType": "Parameters", "parameter": []}, 400, "resource"),
        ({"resourceType": "Observation", "status": "final"}, 400, None),
        ([], 400, None),
    ],
    ids=["none", "empty", "other", "list"],
)
def test_without_a_resource(
    client: httpx.Client, body: Any, status: int, place: str | None
) -> None:
    answer = client.post("/Patient/$match", json=body)
    assert answer.status_code == status, answer.text
    (issue,) = answer.json()["issue"]
    assert place is None or issue["expression"] == [place]


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        ({"resourceType": "Person", "name": [{"text": "A"}]}, 400),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Patient", "birthDate": "1974-05-20", "gender": "female"}, 400),
        ({"resourceType": "Patient", "name": "A"}, 422),
        ({"resourceType": "Patient", "name": [{"text": "A"}], "birthDate": "20/05/1974"}, 422),
        ({"resourceType": "Patient", "name": [{"text": "A"}], "nickname": "B"}, 422),
    ],
    ids=["person", "empty", "no-name", "bad-name", "bad-date", "unknown-element"],
)
def test_what_is_no_patient_or_says_nothing(
    client: httpx.Client, resource: Any, status: int
) -> None:
    answer = asked(client, resource)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("value", [-1, True, "3"])
def test_a_count_that_is_none(client: httpx.Client, value: Any) -> None:
    parameter = [
        {"name": "resource", "resource": person("A B")},
        {"name": "count", "valueInteger": value},
    ]
    answer = client.post(
        "/Patient/$match", json={"resourceType": "Parameters", "parameter": parameter}
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["count"]


def test_unknown_parameters_are_refused_by_name(client: httpx.Client) -> None:
    answer = asked(client, person("A B"), threshold=1)
    assert answer.status_code == 400
    assert "threshold" in answer.text
    assert asked(client, person("A B"), count=1).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "'; drop table resource; --",
        "%_%",
        "\\,|$",
        "A" * 5000,
        " ".join(f"từ{n}" for n in range(500)),
        "\u202eNam\u200b Văn",
        "ភូមិ ខ្មែរ",
        "🙂",
        "...",
        "--",
    ],
    ids=range(10),
)
def test_hostile_names_and_identifiers(client: httpx.Client, text: str) -> None:
    identifier = [{"system": "http://x.example/" + text.replace(" ", "")[:50], "value": text[:100]}]
    answer = asked(client, person(text, identifier=identifier))
    assert answer.status_code in (200, 422), answer.text


def test_a_number_that_is_no_number_does_not_stand_in_the_way(client: httpx.Client) -> None:
    put(client, "short", person("Giàng Thị Short"))
    assert matched(client, person("Giàng Thị Short", **numbered("00117400"))) == [
        ("short", "certain")
    ]


def test_no_value_of_an_identifier_comes_back_in_a_refusal(client: httpx.Client) -> None:
    sent = person("A B", "31/12/1974", **numbered("001174000999"))
    assert "001174000999" not in asked(client, sent).text


def test_the_server_says_that_it_has_the_operation(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/capabilitystatement.html"""
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    (patient,) = [one for one in resources if one["type"] == "Patient"]
    assert {
        "name": "match",
        "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match",
    } in patient["operation"]


def test_a_get_is_not_possible(client: httpx.Client) -> None:
    assert client.get("/Patient/$match").status_code == 405
