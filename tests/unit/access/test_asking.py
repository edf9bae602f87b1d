"""Who asks, as consents see it."""

from datetime import UTC, datetime

from ehr_server.access.asking import ask_of
from ehr_server.access.policies import policies
from ehr_server.access.principal import Principal
from ehr_server.consent.rule import actor, purpose

NOW = datetime(2026, 11, 26, tzinfo=UTC)
FACILITY, PERSON = policies(None)["facility"], policies(None)["person"]


def test_a_caller_is_its_facility_and_its_user() -> None:
    principal = Principal("his", "d", facility="a", user="Practitioner/7")
    ask = ask_of(FACILITY, principal, "TREAT", NOW)
    assert ask is not None
    assert set(ask.actors) == {actor("Organization", "a"), actor("Practitioner", "7")}
    assert (ask.purposes, ask.at, ask.default) == ((purpose("TREAT"),), NOW, "open")
    assert ask.named


def test_bills_and_research_need_an_opt_in_and_a_broken_glass_nothing() -> None:
    """Law 91/2025, article 26."""
    whys = ("HRESCH", "HPAYMT", "HMARKT", "PUBHLTH", "HOPERAT", "PATRQT", "BTG", "TREAT")
    asks = {why: ask_of(FACILITY, Principal("x", "x"), why, NOW) for why in whys}
    assert {why for why, ask in asks.items() if ask and ask.default == "closed"} == set(whys[:3])
    assert {why for why, ask in asks.items() if ask and ask.is_broken} == {"BTG"}


def test_a_person_is_not_kept_from_their_own_record() -> None:
    assert ask_of(PERSON, Principal("app", "p", patient="p"), "PATRQT", NOW) is None
