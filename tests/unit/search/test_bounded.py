"""What an expression of somebody's own may cost: counted in its text."""

import pytest

from ehr_server.definitions import definitions
from ehr_server.search.bounded import is_costly
from ehr_server.search.paths import alternatives


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Patient.name.where(use = 'official').select(family & ' ' & given.first())", False),
        ("Patient.name.where(text = 'descendants() %resource & & & & & & & & & &')", False),
        ("Observation.component.where(code = %resource.code).value", False),
        ("Patient.descendants().where(%resource.descendants().exists())", True),
        ("Patient.descendants().where(%'resource'.descendants().exists())", True),
        ("Patient.descendants().where(%rootResource.repeat(item).exists())", True),
        ("Patient.name.given" + ".select($this & $this)" * 9, True),
        ("Patient.name.given" + ".select($this + $this)" * 9, True),
        ("Patient.name.given" + ".select(combine($this))" * 9, True),
        ("Patient.name.given" + ".select((upper() | lower()))" * 9, True),
    ],
)
def test_what_may_grow_faster_than_the_resource(path: str, expected: bool) -> None:
    assert is_costly(path) is expected


def test_nothing_of_the_standard_is_costly() -> None:
    for of in definitions().search_parameters.values():
        for one in of.values():
            assert not any(map(is_costly, alternatives(one.expression or "")))
