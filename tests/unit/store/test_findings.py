"""What findings count as the same: by place without indices, by rule, by profile."""

from ehr_server.issue import Issue
from ehr_server.store.findings import Kind, finding_kind

PROFILE = "http://example.org/StructureDefinition/x"


def warning(place: str, **more: str) -> Issue:
    return Issue("warning", "required", "…", (place,) if place else (), **more)


def test_indices_and_the_entry_are_left_out() -> None:
    alone = finding_kind("Patient", "Patient", warning("Patient.name[3].given[0]", rule="min"))
    entry = finding_kind(
        "Patient",
        "Bundle.entry[12].resource",
        warning("Bundle.entry[12].resource.name[1].given[5]", rule="min"),
    )
    assert alone == entry == Kind("Patient", "warning", "min", "", "Patient.name.given")
    assert alone.number == entry.number


def test_a_neighbouring_entry_is_not_mistaken_for_it() -> None:
    """`Bundle.entry[1]` begins as `Bundle.entry[12]` does."""
    found = finding_kind(
        "Patient", "Bundle.entry[1].resource", warning("Bundle.entry[12].resource.x")
    )
    assert found.path == "Bundle.entry.resource.x"


def test_what_is_inside_a_bundle_that_is_kept_has_its_place_there() -> None:
    found = finding_kind("Bundle", "Bundle", warning("Bundle.entry[2].resource.gender"))
    assert found.path == "Bundle.entry.resource.gender"


def test_without_a_place_it_is_about_the_resource_and_without_a_rule_about_the_code() -> None:
    found = finding_kind("Patient", "", warning("", profile=PROFILE))
    assert found == Kind("Patient", "warning", "required", PROFILE, "Patient")


def test_every_part_tells_kinds_apart() -> None:
    kinds = [
        Kind("Patient", "warning", "min", PROFILE, "Patient.name"),
        Kind("Person", "warning", "min", PROFILE, "Patient.name"),
        Kind("Patient", "information", "min", PROFILE, "Patient.name"),
        Kind("Patient", "warning", "max", PROFILE, "Patient.name"),
        Kind("Patient", "warning", "min", "", "Patient.name"),
        Kind("Patient", "warning", "min", PROFILE, "Patient.gender"),
    ]
    assert len({kind.number for kind in kinds}) == len(kinds)


def test_a_number_stands_in_databases_and_never_changes() -> None:
    assert Kind("Patient", "warning", "min", "", "Patient.name").number == 5661338820625219340
