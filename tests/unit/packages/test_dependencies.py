"""What packages need of one another."""

from ehr_server.packages.dependencies import missing, ordered, other_versions
from ehr_server.packages.read import Package


def package(label: str, **dependencies: str) -> Package:
    name, _, version = label.partition("#")
    return Package(name, version, {k.replace("_", "."): v for k, v in dependencies.items()}, ())


A = package("a#1", b="1")
B = package("b#1", c="1", hl7_fhir_r4_core="4.0.1")
C = package("c#1")


def test_what_others_depend_on_comes_first() -> None:
    assert ordered([A, B, C]) == [C, B, A]
    assert ordered([C, A, B]) == [C, B, A]


def test_packages_may_depend_on_one_another_in_a_circle() -> None:
    """As hl7.terminology.r4 and hl7.fhir.uv.extensions.r4 do."""
    one, other = package("one#1", other="1"), package("other#1", one="1")
    assert ordered([one, other]) == [other, one]
    assert ordered([other, one]) == [one, other]


def test_a_package_that_is_given_twice_is_one() -> None:
    assert ordered([C, C]) == [C]


def test_all_that_is_missing_is_named() -> None:
    assert missing([A, package("d#1", e="2.x")], ["c#1"]) == ["b#1", "e#2.x"]
    assert missing([A, B, C], []) == []
    assert missing([A], ["b#7"]) == []


def test_another_version_is_a_warning() -> None:
    [issue] = other_versions([A], ["b#7"])
    assert issue.severity == "warning"
    assert issue.text == "a#1 asks for b#1; what is used is b#7."
    assert issue.vi is not None


def test_versions_that_fit() -> None:
    for wanted in ("5.2.0", "5.2.x", "5.x", "current", "latest"):
        assert not list(other_versions([package("a#1", b=wanted)], ["b#5.2.0"])), wanted
    for wanted in ("5.2", "5.3.x", "5.20.x"):
        assert list(other_versions([package("a#1", b=wanted)], ["b#5.2.0"])), wanted
