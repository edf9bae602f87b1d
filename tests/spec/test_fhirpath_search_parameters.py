"""Every search expression of R4 compiles. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from ehr_server.definitions import definitions
from ehr_server.fhirpath import compile_path
from ehr_server.fhirpath.compile import compile_flow

PARAMETERS = [
    parameter
    for by_code in definitions().search_parameters.values()
    for parameter in by_code.values()
    if parameter.expression is not None
]


def test_there_are_as_many_as_the_standard_has() -> None:
    of_types = [one for one in PARAMETERS if not one.code.startswith("_")]
    assert len(of_types) > 1_600
    assert len({one.base for one in PARAMETERS}) == 146


def test_each_compiles_and_only_these_yield_something_of_an_empty_resource() -> None:
    found = {
        (one.base, one.code): compile_path(one.expression or "", one.base)(
            {"resourceType": one.base}
        )
        for one in PARAMETERS
        if one.type != "composite"
    }
    yielding = {name: values for name, values in found.items() if values}
    assert yielding == {("Patient", "deceased"): [("boolean", False)]}


def test_components_compile_on_what_the_composite_yields() -> None:
    composites = [one for one in PARAMETERS if one.components]
    assert len(composites) > 50
    for one in composites:
        flow = compile_flow(one.expression or "", one.base, definitions())
        for _, expression in one.components:
            assert [compile_path(expression, branch.type) for branch in flow.branches], one
