"""Who asked for work in the background is kept with it, and is the same when it is done."""

from ehr_server.access.caller import LOOPBACK, Caller, asker_of
from ehr_server.access.principal import Principal
from ehr_server.fhir import json

DOCTOR = Principal(
    *("app", "doctor-1", "https://login.example.vn", ("user/*.rs", "launch"), "doctor", "bv1"),
    *("Practitioner/7", "p1", ("TREAT", "BTG"), 1_790_000_000),
)


def _kept(caller: Caller) -> Caller:
    """As a job keeps it: in JSON."""
    return asker_of(json.read(json.write({**caller.as_asker(), "base_url": "x"})))


def test_a_caller_comes_back_whole() -> None:
    for caller in (
        LOOPBACK,
        Caller("lab"),
        Caller("lab", purpose="BTG", reason="cấp cứu"),
        Caller("login/app", DOCTOR, "BTG", "cấp cứu"),
        Caller("lab", Principal("lab", "lab", scopes=("system/*.rs",))),
    ):
        assert _kept(caller) == caller
    assert _kept(LOOPBACK).narrowing is None


def test_its_trail_is_a_new_one() -> None:
    caller = Caller("lab")
    caller.trail.saw([3])
    assert _kept(caller).trail.count == 0


def test_jobs_belong_to_a_program_or_to_one_user_of_it() -> None:
    assert LOOPBACK.owner is None
    assert Caller("lab", Principal("lab", "lab")).owner == "lab"
    assert Caller("login/app", DOCTOR).owner == "login/app#doctor-1"
    assert _kept(Caller("login/app", DOCTOR)).owner == "login/app#doctor-1"


def test_what_older_jobs_hold_is_read() -> None:
    assert asker_of({"caller": None}) == LOOPBACK
    assert asker_of({"caller": "lab", "asker": None}) == Caller("lab")
