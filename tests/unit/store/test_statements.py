"""SQL laid out for people: the same statement, on lines that can be read."""

from urllib.parse import parse_qsl

import pytest

from ehr_server.search.parse import parse
from ehr_server.search.plan import plan
from ehr_server.search.rules import Rules
from ehr_server.store.statements import laid_out
from searching import HANOI


def test_each_clause_begins_a_line_and_brackets_are_set_in() -> None:
    short = "select a from (select b from t where b = %s) u where c = %s order by a limit 51"
    assert laid_out(short) == short
    inner = (
        "select r.comp, r.key from resource_patient r where r.c1 = %s and r.d1 >= %s order by r.d1"
    )
    assert laid_out(f"select p.comp from ({inner} limit 51) p where p.comp = %s or true").split(
        "\n"
    ) == [
        "select p.comp",
        "from (",
        "  select r.comp, r.key",
        "  from resource_patient r",
        "  where r.c1 = %s and r.d1 >= %s",
        "  order by r.d1",
        "  limit 51",
        ") p",
        "where p.comp = %s or true",
    ]


def test_what_is_gathered_first_has_lines_of_its_own() -> None:
    text = (
        "with found as materialized (select r.key from resource_patient r where r.c1 = %s),"
        " few as materialized (select * from found limit 11)"
        " select p.key from few p left join version_patient v on v.key = p.key"
    )
    assert laid_out(text).split("\n") == [
        "with found as materialized (select r.key from resource_patient r where r.c1 = %s),",
        "few as materialized (select * from found limit 11)",
        "select p.key",
        "from few p",
        "left join version_patient v on v.key = p.key",
    ]


@pytest.mark.parametrize(
    "search",
    [
        "Patient?name=ngop thi&birthdate=ge1970&_sort=name",
        "Observation?combo-code-value-quantity=1$5&date=ge2020&_sort=value-quantity,-date",
        "Location?near=10.7|106.7&name:contains=tram",
    ],
)
def test_nothing_but_space_is_changed(search: str) -> None:
    type_name, _, text = search.partition("?")
    planned = plan(parse(type_name, parse_qsl(text), Rules(HANOI)), {})
    assert planned is not None
    for stage in planned.stages:
        sql = planned.page(51, stage, None).text
        shown = laid_out(sql)
        assert "".join(shown.split()) == "".join(sql.split())
        assert shown.count("\n") > 10
