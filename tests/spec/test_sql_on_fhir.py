"""Views, by the sections of SQL on FHIR v2.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html. Cases of our own: a view, and
the rows of the residents below.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.errors import Unprocessable
from ehr_server.views.view import View, view

NGOP: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "ngop",
    "active": True,
    "name": [
        {"use": "official", "family": "Phạm", "given": ["Thị", "Ngọp"]},
        {"use": "usual", "given": ["Ngọp"]},
    ],
    "telecom": [{"system": "phone", "value": "0912"}, {"system": "email", "value": "n@x.vn"}],
    "gender": "female",
    "birthDate": "1974-05",
    "contact": [
        {"name": {"family": "Lê"}, "telecom": [{"value": "1"}, {"value": "2"}]},
        {"name": {"family": "Võ"}},
    ],
    "link": [{"other": {"reference": "Patient/an"}, "type": "seealso"}],
    "extension": [{"url": "http://x.org/tribe", "valueString": "Kinh"}],
}
AN: dict[str, Any] = {"resourceType": "Patient", "id": "an", "gender": "male"}
SURVEY: dict[str, Any] = {
    "resourceType": "QuestionnaireResponse",
    "id": "survey",
    "status": "completed",
    "item": [
        {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueInteger": 4}]}]},
        {"linkId": "2", "answer": [{"item": [{"linkId": "2.1"}]}, {"item": [{"linkId": "2.2"}]}]},
    ],
}
PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "pressure",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
    "subject": {"reference": "http://here/fhir/Patient/ngop"},
    "effectiveDateTime": "2026-10-05T08:30:00+07:00",
    "issued": "2026-10-05T08:30:00Z",
    "valueQuantity": {"value": Decimal("120.50"), "unit": "mmHg"},
    "component": [
        {"code": {"text": "high"}, "valueQuantity": {"value": 120}},
        {"code": {"text": "low"}, "valueQuantity": {"value": 80}},
    ],
}
RECORD = (NGOP, AN, SURVEY, PRESSURE)


def column(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "path": path, **more}


def made(*selects: dict[str, Any], resource: str = "Patient", **more: Any) -> View:
    definition = {"resourceType": "ViewDefinition", "resource": resource, "status": "active"}
    return view({**definition, "select": list(selects), **more}, "http://here/fhir")


def rows(*selects: dict[str, Any], resource: str = "Patient", **more: Any) -> list[tuple[Any, ...]]:
    return list(made(*selects, resource=resource, **more).rows(RECORD))


def one(path: str, resource: str = "Patient", **more: Any) -> list[Any]:
    """The values of a view of one column."""
    return [row[0] for row in rows({"column": [column("a", path, **more)]}, resource=resource)]


def refused(*selects: Any, resource: str = "Patient", **more: Any) -> list[tuple[str, str]]:
    """(place below ViewDefinition, rule) of all that is wrong with a view."""
    with pytest.raises(Unprocessable) as raised:
        made(*selects, resource=resource, **more)
    for issue in raised.value.issues:
        assert issue.text
        assert issue.vi
    return [
        (issue.expression[0].removeprefix("ViewDefinition."), issue.rule)
        for issue in raised.value.issues
    ]


ID = {"column": [column("id", "id")]}


class TestColumns:
    """#specifying-a-select"""

    def test_resources_of_another_type_have_no_row(self) -> None:
        assert one("id") == ["ngop", "an"]
        assert one("id", "Observation") == ["pressure"]

    @pytest.mark.parametrize(
        ("path", "values"),
        [
            ("active", [True, None]),
            ("name.first().family", ["Phạm", None]),
            ("name[1].given.first()", ["Ngọp", None]),
            ("name.where(use = 'official').given.join('-')", ["Thị-Ngọp", ""]),
            ("telecom.where(system = 'email').value", ["n@x.vn", None]),
            ("name.exists()", [True, False]),
            ("deceased.ofType(boolean).empty()", [True, True]),
            ("extension('http://x.org/tribe').value.ofType(string)", ["Kinh", None]),
            ("gender = 'female' and active", [True, False]),
            ("name.count() * 2 + 1", [5, 1]),
            ("'x'", ["x", "x"]),
            ("%rowIndex", [0, 0]),
            ("{}", [None, None]),
        ],
    )
    def test_an_expression_makes_a_value(self, path: str, values: list[Any]) -> None:
        assert one(path) == values

    def test_a_decimal_keeps_its_precision(self) -> None:
        (value,) = one("value.ofType(Quantity).value", "Observation")
        assert str(value) == "120.50"

    def test_a_collection_is_a_list(self) -> None:
        """#StructureDefinition-ViewDefinition.select.column.collection"""
        assert one("name.given", collection=True) == [["Thị", "Ngọp", "Ngọp"], []]

    def test_several_values_need_a_collection(self) -> None:
        with pytest.raises(Unprocessable, match="several values in Patient/ngop"):
            one("name.given")

    def test_what_has_elements_is_named_by_its_type(self) -> None:
        assert one("name.first()", type="HumanName") == [NGOP["name"][0], None]
        assert refused({"column": [column("a", "name.first()")]}) == [
            ("select[0].column[0].type", "type")
        ]

    @pytest.mark.parametrize(
        ("path", "type_"),
        [
            ("id", "id"),
            ("birthDate", "date"),
            ("active", "boolean"),
            ("name.exists()", "boolean"),
            ("name.count()", "integer"),
            ("telecom.first().rank", "positiveInt"),
            ("multipleBirth.ofType(integer)", "integer"),
            ("birthDate.lowBoundary()", "date"),
            ("%rowIndex", "integer"),
            ("getResourceKey()", "id"),
        ],
    )
    def test_a_type_is_told_by_the_expression(self, path: str, type_: str) -> None:
        """#column-types"""
        (found,) = made({"column": [column("a", path)]}).columns
        assert found.type == type_

    def test_a_type_may_be_named_as_a_url_and_has_to_fit(self) -> None:
        url = "http://hl7.org/fhir/StructureDefinition/code"
        (found,) = made({"column": [column("a", "gender", type=url)]}).columns
        assert found.type == "code"
        for path, type_ in (("active", "string"), ("birthDate", "integer"), ("id", "HumanName")):
            assert refused({"column": [column("a", path, type=type_)]}) == [
                ("select[0].column[0].type", "type")
            ]

    def test_values_of_several_types_are_told_apart_by_oftype(self) -> None:
        assert refused({"column": [column("a", "value")]}, resource="Observation") == [
            ("select[0].column[0].type", "type")
        ]

    def test_tags_ask_for_a_type_of_sql(self) -> None:
        """#type-hinting-with-tags"""
        tagged = column("a", "birthDate", tag=[{"name": "ansi/type", "value": "date"}])
        (found,) = made({"column": [tagged]}).columns
        assert found.sql_type == "DATE"
        tagged["tag"][0]["value"] = "POINT"
        assert refused({"column": [tagged]}) == [("select.column.tag", "type")]


class TestUnnesting:
    """#unnesting-semantics"""

    def test_foreach_makes_a_row_for_each_item_and_none_for_none(self) -> None:
        select = {"forEach": "name", "column": [column("use", "use")]}
        assert rows(ID, select) == [("ngop", "official"), ("ngop", "usual")]

    def test_foreachornull_makes_a_row_of_null_for_none(self) -> None:
        select = {
            "forEachOrNull": "name",
            "column": [column("use", "use"), column("n", "%rowIndex"), column("x", "'x'")],
            "select": [{"forEach": "given", "column": [column("given", "$this")]}],
        }
        assert rows(ID, select) == [
            ("ngop", "official", 0, "x", "Thị"),
            ("ngop", "official", 0, "x", "Ngọp"),
            ("ngop", "usual", 1, "x", "Ngọp"),
            ("an", None, 0, None, None),
        ]

    def test_nesting_repeats_the_outer_values(self) -> None:
        select = {
            "forEach": "contact",
            "column": [column("family", "name.family")],
            "select": [{"forEachOrNull": "telecom", "column": [column("value", "value")]}],
        }
        assert rows(select) == [("Lê", "1"), ("Lê", "2"), ("Võ", None)]

    def test_selects_beside_each_other_are_crossed(self) -> None:
        """#multiple-select-expressions"""
        first = {"forEach": "name", "column": [column("use", "use")]}
        second = {"forEach": "telecom", "column": [column("system", "system")]}
        assert rows(first, second) == [
            ("official", "phone"),
            ("official", "email"),
            ("usual", "phone"),
            ("usual", "email"),
        ]

    def test_what_is_gone_through_may_be_narrowed(self) -> None:
        select = {"forEach": "name.where(use = 'usual')", "column": [column("u", "use")]}
        assert rows(select) == [("usual",)]

    def test_row_index_counts_at_each_level(self) -> None:
        """#rowindex"""
        select = {
            "forEach": "contact",
            "column": [column("i", "%rowIndex")],
            "select": [
                {
                    "unionAll": [
                        {"forEach": "telecom", "column": [column("j", "%rowIndex")]},
                        {"column": [column("j", "%rowIndex")]},
                    ]
                }
            ],
        }
        assert rows(select) == [(0, 0), (0, 1), (0, 0), (1, 1)]

    def test_the_resource_is_reached_from_below(self) -> None:
        select = {
            "forEach": "name",
            "column": [column("key", "%resource.getResourceKey()"), column("use", "use")],
        }
        assert rows(select) == [("ngop", "official"), ("ngop", "usual")]

    def test_a_resource_that_would_fill_the_memory_with_rows_is_refused(self) -> None:
        """A hundred rows, crossed with themselves four times."""
        hundred = [{"column": [column("a", "id")]}] * 100
        crossed = [
            {"unionAll": [{"column": [column(f"c{n}", "id")]} for _ in hundred]} for n in range(4)
        ]
        with pytest.raises(Unprocessable, match="more than 1,000,000 rows"):
            rows(*crossed)
        assert len(rows(*crossed[:2])) == 20_000


class TestRepeat:
    """#recursive-traversal-with-repeat"""

    def test_all_levels_are_gone_through(self) -> None:
        select = {"repeat": ["item"], "column": [column("link", "linkId")]}
        found = rows(ID, select, resource="QuestionnaireResponse")
        assert [row[1] for row in found] == ["1", "1.1", "2"]

    def test_several_paths_lead_down(self) -> None:
        select = {
            "repeat": ["item", "answer.item"],
            "column": [column("link", "linkId"), column("n", "%rowIndex")],
        }
        found = rows(select, resource="QuestionnaireResponse")
        assert found == [("1", 0), ("1.1", 1), ("2", 2), ("2.1", 3), ("2.2", 4)]

    def test_a_path_in_a_circle_is_refused_and_does_not_run_for_ever(self) -> None:
        select = {"repeat": ["$this"], "column": [column("a", "id")]}
        with pytest.raises(Unprocessable, match="leads back"):
            rows(select)

    def test_a_path_that_no_type_has_is_refused(self) -> None:
        select = {"repeat": ["itme"], "column": [column("a", "linkId")]}
        assert refused(select, resource="QuestionnaireResponse") == [
            ("select[0].repeat[0]", "fhirpath")
        ]


class TestUnion:
    """#unions"""

    def test_rows_come_one_after_another_and_twice_if_they_are_there_twice(self) -> None:
        names = {"forEach": "name", "column": [column("text", "given.first()")]}
        contacts = {"forEach": "contact", "column": [column("text", "name.family")]}
        found = rows({"column": [column("id", "id")], "unionAll": [names, contacts, contacts]})
        assert [row[1] for row in found] == ["Thị", "Ngọp", *["Lê", "Võ"] * 2]

    @pytest.mark.parametrize(
        "other",
        [
            {"column": [column("b", "id")]},
            {"column": [column("a", "id"), column("b", "id")]},
            {"column": [column("a", "active")]},
            {"column": [column("a", "id", collection=True)]},
        ],
    )
    def test_the_columns_have_to_be_alike(self, other: dict[str, Any]) -> None:
        union = {"unionAll": [{"column": [column("a", "id")]}, other]}
        assert refused(union) == [("select[0].unionAll", "union")]

    def test_columns_stand_in_the_order_of_the_standard(self) -> None:
        """#column-ordering: own columns, nested selects, then the union."""
        select = {
            "unionAll": [{"column": [column("d", "id")]}],
            "select": [{"column": [column("c", "id")]}],
            "column": [column("a", "id"), column("b", "id")],
        }
        after = {"column": [column("e", "id")]}
        assert [one.name for one in made(select, after).columns] == ["a", "b", "c", "d", "e"]


class TestWhere:
    """#StructureDefinition-ViewDefinition.where"""

    def test_every_criterion_has_to_be_true(self) -> None:
        both = [{"path": "gender = 'female'"}, {"path": "name.exists()"}]
        assert rows(ID, where=both) == [("ngop",)]
        assert rows(ID, where=[{"path": "active"}]) == [("ngop",)]  # empty is not true

    def test_a_criterion_is_true_or_false(self) -> None:
        assert refused(ID, where=[{"path": "name.family"}]) == [("where[0].path", "where")]


class TestConstants:
    """#using-constants"""

    @pytest.mark.parametrize(
        ("constant", "path", "values"),
        [
            ({"valueCode": "female"}, "gender = %x", [True, False]),
            ({"valueString": "Phạm"}, "name.family.first() = %x", [True, None]),
            ({"valueInteger": 1}, "name[%x].use", ["usual", None]),
            ({"valueBoolean": True}, "active = %x", [True, None]),
            ({"valueDecimal": 1.5}, "name.count() > %x", [True, False]),
            ({"valueDate": "1974-05"}, "birthDate = %x", [True, None]),
            ({"valueDateTime": "2026"}, "birthDate < %x", [True, None]),
            ({"valueUri": "http://x.org/tribe"}, "extension.url = %x", [True, None]),
            ({"valueInteger64": "1"}, "name.count() > %x", [True, False]),
            ({"valueUnsignedInt": 0}, "name.count() > %x", [True, False]),
        ],
    )
    def test_a_constant_is_named_in_expressions(
        self, constant: dict[str, Any], path: str, values: list[Any]
    ) -> None:
        select = {"column": [column("a", path)]}
        found = rows(select, constant=[{"name": "x", **constant}])
        assert [row[0] for row in found] == values

    @pytest.mark.parametrize(
        ("constant", "place"),
        [
            ([{"name": "x"}], "constant[0].value[x]"),
            ([{"name": "x", "valueString": "a", "valueCode": "a"}], "constant[0].value[x]"),
            ([{"name": "x", "valueHumanName": {}}], "constant[0].value[x]"),
            ([{"name": "x", "valueInteger": "1"}], "constant[0].valueInteger"),
            ([{"name": "x", "valueDate": "1974-13"}], "constant[0].valueDate"),
            ([{"name": "x-y", "valueCode": "a"}], "constant[0].name"),
            ([{"name": "resource", "valueCode": "a"}], "constant[0].name"),
            ([{"name": "x", "valueCode": "a"}] * 2, "constant[1].name"),
            ({"name": "x"}, "constant"),
        ],
    )
    def test_a_constant_that_is_none_is_refused(self, constant: Any, place: str) -> None:
        assert [found for found, _ in refused(ID, constant=constant)] == [place]

    def test_one_that_is_not_there_is_refused(self) -> None:
        assert refused({"column": [column("a", "%x")]}) == [
            ("select[0].column[0].path", "fhirpath")
        ]


class TestKeys:
    """#joins-with-resource-and-reference-keys"""

    def test_the_key_of_a_reference_is_that_of_the_resource(self) -> None:
        assert one("getResourceKey()") == ["ngop", "an"]
        assert one("link.other.getReferenceKey()") == ["an", None]
        assert one("link.other.getReferenceKey(Patient)") == ["an", None]
        assert one("link.other.getReferenceKey(Practitioner)") == [None, None]

    def test_a_reference_to_this_server_by_its_whole_address_is_one_too(self) -> None:
        assert one("subject.getReferenceKey(Patient)", "Observation") == ["ngop"]

    @pytest.mark.parametrize("path", ["name.getReferenceKey()", "name.getResourceKey()"])
    def test_keys_are_asked_of_what_has_one(self, path: str) -> None:
        assert refused({"column": [column("a", path)]}) == [
            ("select[0].column[0].path", "fhirpath")
        ]


class TestBoundaries:
    """#experimental-fhirpath-functions of the shareable profile; see test_fhirpath_boundaries"""

    def test_of_elements(self) -> None:
        assert one("birthDate.lowBoundary()") == ["1974-05-01", None]
        assert one("birthDate.highBoundary()") == ["1974-05-31", None]


A = {"column": [column("a", "id")]}
NO_COLUMNS = [("select[0].column", "structure"), ("select[0]", "required")]


class TestRefusals:
    """A view is checked whole before any of it is run."""

    @pytest.mark.parametrize(
        ("selects", "more", "found"),
        [
            ([], {}, [("select", "required")]),
            ([{}], {}, [("select[0]", "required")]),
            ([A | {"colunm": []}], {}, [("select[0].colunm", "structure")]),
            ([{"column": {"name": "a"}}], {}, NO_COLUMNS),
            ([A, A], {}, [("select[1].column[0].name", "unique")]),
            ([A | {"forEach": "name", "repeat": ["link"]}], {}, [("select[0]", "sql-expressions")]),
            ([A | {"forEach": 1}], {}, [("select[0].forEach", "required")]),
            ([A | {"forEach": "@@"}], {}, [("select[0].forEach", "fhirpath")]),
            ([A | {"repeat": "item"}], {}, [("select[0].repeat", "structure")]),
            ([A], {"name": "1"}, [("name", "sql-name")]),
            ([A], {"where": [{}]}, [("where[0].path", "required")]),
        ],
    )
    def test_each_finding_has_its_place_and_rule(
        self, selects: list[Any], more: dict[str, Any], found: list[tuple[str, str]]
    ) -> None:
        assert refused(*selects, **more) == found

    @pytest.mark.parametrize(
        ("wrong", "place", "rule"),
        [
            (column("a b", "id"), "name", "sql-name"),
            ({"name": "a"}, "path", "required"),
            (column("a", "id", size=3), "size", "structure"),
            (column("a", "id", type="Str"), "type", "type"),
            (column("a", "id", collection="yes"), "collection", "structure"),
            (column("a", "id", tag=[{"name": "x"}]), "tag[0]", "structure"),
            (column("a", "first_name"), "path", "fhirpath"),
            (column("a", "name.fmaily"), "path", "fhirpath"),
            (column("a", "birth()"), "path", "fhirpath"),
        ],
    )
    def test_so_has_each_of_a_column(self, wrong: dict[str, Any], place: str, rule: str) -> None:
        assert refused({"column": [wrong]}) == [(f"select[0].column[0].{place}", rule)]

    def test_the_resource_is_a_type_of_r4(self) -> None:
        assert refused(ID, resource="Patients") == [("resource", "required")]
        assert refused(ID, resource="ActorDefinition") == [("resource", "required")]

    @pytest.mark.parametrize("value", [None, [], "view", NGOP])
    def test_a_view_is_a_viewdefinition(self, value: Any) -> None:
        with pytest.raises(Unprocessable, match="a ViewDefinition"):
            view(value)

    def test_all_findings_are_told_at_once(self) -> None:
        select = {"column": [column("a", "nmae"), column("a", "id"), column("b", "active +")]}
        assert refused(select, where=[{"path": "name"}]) == [
            ("select[0].column[0].path", "fhirpath"),
            ("select[0].column[2].path", "fhirpath"),
            ("where[0].path", "where"),
            ("select[0].column[1].name", "unique"),
        ]

    def test_a_number_that_may_be_a_persons_is_not_repeated(self) -> None:
        with pytest.raises(Unprocessable) as raised:
            made({"column": [column("a", "identifier.`001174000456`")]})
        assert "001174000456" not in raised.value.issues[0].text
