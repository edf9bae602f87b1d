"""Who asks, as consents see it; and what is told of resources in hand, such as older versions."""

from datetime import UTC, datetime

from api.consents import consent
from api.patients import resident, weight
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.access.consent import ask_of, told
from ehr_server.access.principal import Principal
from ehr_server.consent.rule import actor, purpose
from ehr_server.hashing import person_comp
from searching import record

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def test_a_caller_is_its_facility_its_user_and_its_patient() -> None:
    principal = Principal("his", "d", facility="a", user="Practitioner/7", patient="p")
    ask = ask_of(Caller("his", principal, "TREAT"), ("HIV",), NOW)
    who = {actor("Organization", "a"), actor("Practitioner", "7"), actor("Patient", "p")}
    assert set(ask.actors) == who
    assert (ask.purposes, ask.at, ask.may_tell) == ((purpose("TREAT"),), NOW, {"HIV"})
    assert (ask.default, ask.is_broken) == ("open", False)


def test_research_and_bills_need_an_opt_in_and_a_broken_glass_nothing() -> None:
    whys = ("HRESCH", "HPAYMT", "HMARKT", "PUBHLTH", "HOPERAT", "PATRQT", "BTG", "")
    asks = {why: ask_of(Caller("x", purpose=why), (), NOW) for why in whys}
    assert {why for why, ask in asks.items() if ask.default == "closed"} == set(whys[:3])
    assert {why for why, ask in asks.items() if ask.is_broken} == {"BTG"}


def test_nobody_in_particular_is_no_actor() -> None:
    assert ask_of(LOOPBACK, (), NOW).actors == ()
    assert ask_of(Caller("x", Principal("x", "x")), (), NOW).actors == ()


def test_older_versions_are_told_by_what_is_said_now(database: str) -> None:
    with record(database) as here:
        here.put({**resident(), "id": "one"}, {**consent("one"), "id": "c"})
        before = {**weight("Patient/one"), "id": "w"}  # not stored: it need not be
        of_other = {**weight("Patient/other"), "id": "v"}
        placed = [(person_comp("one"), before), (person_comp("other"), of_other)]
        ask = ask_of(Caller("x", Principal("x", "x", facility="a")), (), NOW)
        with here.store.connection() as connection:
            assert told(connection, placed, ask, here.rules) == [False, True]
