"""What a Consent means: https://hl7.org/fhir/R4/consent.html, provision by provision.

Each case is a Consent, a resource and who asks; the answer was worked out by hand.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ehr_server.consent.decide import decide
from ehr_server.consent.rule import DENY, Ask, actor, purpose
from ehr_server.hashing import person_comp
from ehr_server.search import directives
from ehr_server.search.index import index
from ehr_server.search.marks import seen
from ehr_server.search.rules import Rules
from ehr_server.sensitivity import reasons

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir")
NOW = datetime(2026, 11, 26, 5, tzinfo=UTC)

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
LOINC = "http://loinc.org"

HOSPITAL, CLINIC, DOCTOR = ("Organization", "a"), ("Organization", "b"), ("Practitioner", "d")
ALL, NONE = frozenset(reasons()), frozenset[str]()


def concept(system: str, *codes: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}


def who(*several: tuple[str, str], role: str = "IRCP") -> list[dict[str, Any]]:
    return [
        {"role": concept(ROLE, role), "reference": {"reference": "/".join(one)}} for one in several
    ]


def kinds(*names: str) -> list[dict[str, str]]:
    return [coding("http://hl7.org/fhir/resource-types", name) for name in names]


def consent(provision: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Consent",
        "id": "c",
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "patient": {"reference": "Patient/p"},
        **more,
    }
    return found if provision is None else {**found, "provision": provision}


def deny(*inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _rule("deny", inner, more)


def permit(*inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    return _rule("permit", inner, more)


def _rule(kind: str, inner: tuple[dict[str, Any], ...], more: dict[str, Any]) -> dict[str, Any]:
    names = {"label": "securityLabel", "kind": "class"}
    found = {"type": kind, **{names.get(name, name): value for name, value in more.items()}}
    return {**found, "provision": list(inner)} if inner else found


def observation(code: str = "718-7", **more: Any) -> dict[str, Any]:
    subject = {"reference": "Patient/p"}
    code_ = concept(LOINC, code)
    return {"resourceType": "Observation", "id": "o", "code": code_, "subject": subject, **more}


def asks(
    *actors: tuple[str, str], at: datetime = NOW, why: str = "TREAT", tell: frozenset[str] = ALL
) -> Ask:
    default: Any = "closed" if why in ("HRESCH", "HPAYMT") else "open"
    return Ask(tuple(actor(*one) for one in actors), (purpose(why),), at, tell, default)


def is_told(resource: dict[str, Any], ask: Ask, *consents: dict[str, Any]) -> bool:
    found = [
        replace(rule, key=key)
        for key, one in enumerate(consents)
        for rule in directives.read(one, RULES).rules
    ]
    return decide({person_comp("p"): found}, seen(resource, index(resource, RULES)), ask)


BLOOD, HIV = observation(), observation("5017-9")
PATIENT = {"resourceType": "Patient", "id": "p"}
HIV_LABEL, R_LABEL = [coding(ACT, "HIV")], [coding(LEVEL, "R")]
RESEARCH, BILLS = [coding(REASON, "HRESCH")], [coding(REASON, "HPAYMT")]

DENIALS = [
    # nothing said
    ([], BLOOD, asks(), True),
    # "Withhold from everybody", by the type or by the policy that the rules are exceptions to
    ([consent(deny())], BLOOD, asks(HOSPITAL), False),
    ([consent(None, policyRule=concept(ACT, "OPTOUT"))], BLOOD, asks(HOSPITAL), False),
    ([consent(None, policyRule=concept(ACT, "OPTIN"))], BLOOD, asks(HOSPITAL), True),
    # not in force
    ([consent(deny(), status="inactive")], BLOOD, asks(HOSPITAL), True),
    ([consent(deny(), scope=concept("http://a", "research"))], BLOOD, asks(HOSPITAL), True),
    # identity stays known, unless the class says otherwise
    ([consent(deny())], PATIENT, asks(HOSPITAL), True),
    ([consent(deny(kind=kinds("Patient")))], PATIENT, asks(HOSPITAL), False),
    ([consent(deny(kind=kinds("Patient")))], BLOOD, asks(HOSPITAL), True),
    ([consent(deny(deny(kind=kinds("Patient"))))], PATIENT, asks(HOSPITAL), False),
    # actors are alternatives
    ([consent(deny(actor=who(HOSPITAL, DOCTOR)))], BLOOD, asks(DOCTOR), False),
    ([consent(deny(actor=who(HOSPITAL, DOCTOR)))], BLOOD, asks(CLINIC), True),
    # an exception, and an exception to that
    ([consent(deny(permit(actor=who(HOSPITAL))))], BLOOD, asks(HOSPITAL), True),
    ([consent(deny(permit(actor=who(HOSPITAL))))], BLOOD, asks(CLINIC), False),
    ([consent(permit(deny(permit(actor=who(DOCTOR)), actor=who(CLINIC))))], BLOOD,
     asks(CLINIC, DOCTOR), True),
    ([consent(permit(deny(permit(actor=who(DOCTOR)), actor=who(CLINIC))))], BLOOD,
     asks(CLINIC), False),
    # an exception counts within what it is an exception to
    ([consent(permit(deny(deny(label=HIV_LABEL), actor=who(CLINIC)), actor=who(HOSPITAL)))], BLOOD,
     asks(CLINIC), True),
    # of two exceptions that match, the denial stands
    ([consent(permit(permit(actor=who(DOCTOR)), deny(kind=kinds("Observation"))))], BLOOD,
     asks(DOCTOR), False),
    # another Consent permits: what one denies stays denied
    ([consent(deny()), consent(permit(actor=who(HOSPITAL)))], BLOOD, asks(HOSPITAL), False),
    # labels and codes
    ([consent(deny(label=HIV_LABEL))], HIV, asks(), False),
    ([consent(deny(label=HIV_LABEL))], BLOOD, asks(), True),
    ([consent(deny(label=R_LABEL))], HIV, asks(), False),  # what is restricted, for any reason
    ([consent(deny(label=[coding(ACT, "BH")]))],
     observation(meta={"security": [coding(ACT, "PSY")]}), asks(), False),
    ([consent(deny(label=[coding("http://a", "vip")]))],
     observation(meta={"security": [coding("http://a", "vip")]}), asks(), False),
    ([consent(deny(code=[concept(LOINC, "718-7")]))], BLOOD, asks(), False),
    ([consent(deny(code=[concept(LOINC, "718-7")]))], HIV, asks(), True),
    ([consent(deny(code=[concept(LOINC, "718-7")], kind=kinds("Condition")))], BLOOD, asks(), True),
    # purposes
    ([consent(deny(purpose=RESEARCH))], BLOOD, asks(), True),
    ([consent(deny(purpose=[coding(REASON, "COC")]))], BLOOD, asks(), False),  # a kind of TREAT
    # actions
    ([consent(deny(action=[concept(ACTION, "collect")]))], BLOOD, asks(), True),
    ([consent(deny(action=[concept(ACTION, "collect", "disclose")]))], BLOOD, asks(), False),
    ([consent(deny(action=[concept(ACTION, "collect")]))], BLOOD, asks(), True),
    # the very resource
    ([consent(deny(data=[{"meaning": "instance", "reference": {"reference": "Observation/o"}}]))],
     BLOOD, asks(), False),
    ([consent(deny(data=[{"meaning": "instance", "reference": {"reference": "Observation/x"}}]))],
     BLOOD, asks(), True),
    # of when the data are; undated ones may be
    ([consent(deny(dataPeriod={"end": "2025"}))], observation(effectiveDateTime="2025-06"), asks(),
     False),
    ([consent(deny(dataPeriod={"end": "2025"}))], observation(effectiveDateTime="2026"), asks(),
     True),
    ([consent(deny(dataPeriod={"end": "2025"}))], BLOOD, asks(), False),
    # what is not evaluated does not narrow a denial
    ([consent(deny(actor=who(("CareTeam", "t"))))], BLOOD, asks(), False),
    ([consent(deny(actor=who(CLINIC, role="CST")))], BLOOD, asks(), False),
    ([consent(deny(purpose=[coding("http://a", "x")]))], BLOOD, asks(), False),
    ([consent(deny(kind=[coding("http://a", "x"), *kinds("Condition")]))], BLOOD, asks(), False),
    ([consent(deny(permit(actor=who(DOCTOR), modifierExtension=[{"url": "http://a"}])))], BLOOD,
     asks(DOCTOR), False),
    ([consent(deny(permit(actor=who(DOCTOR)), actor=who(("Group", "g"))))], BLOOD, asks(DOCTOR),
     False),
]  # fmt: skip

PERMITS = [
    # what is restricted is opened by a permit that names the reason, or the very resource
    ([], HIV, asks(DOCTOR, tell=NONE), False),
    ([], HIV, asks(DOCTOR, tell=frozenset(("HIV",))), True),
    ([consent(permit(actor=who(DOCTOR)))], HIV, asks(DOCTOR, tell=NONE), False),
    ([consent(permit(actor=who(DOCTOR), label=HIV_LABEL))], HIV, asks(DOCTOR, tell=NONE), True),
    ([consent(permit(actor=who(DOCTOR), label=HIV_LABEL))], HIV, asks(CLINIC, tell=NONE), False),
    ([consent(deny(permit(actor=who(DOCTOR), label=HIV_LABEL)))], HIV, asks(DOCTOR, tell=NONE),
     True),
    ([consent(permit(permit(actor=who(DOCTOR)), label=HIV_LABEL))], HIV, asks(DOCTOR, tell=NONE),
     True),
    ([consent(permit(label=R_LABEL))], HIV, asks(tell=NONE), False),  # it does not name HIV
    ([consent(permit(label=HIV_LABEL))], observation("5017-9", meta={"security": R_LABEL}),
     asks(tell=NONE), True),  # R says no more than that it is restricted
    ([consent(permit(label=HIV_LABEL))],
     observation("5017-9", meta={"security": [coding(ACT, "PSY")]}), asks(tell=NONE), False),
    ([consent(permit(data=[{"meaning": "instance", "reference": {"reference": "Observation/o"}}]))],
     HIV, asks(tell=NONE), True),
    ([consent(deny()), consent(permit(label=HIV_LABEL))], HIV, asks(tell=NONE), False),
    # purposes that need an opt-in
    ([], BLOOD, asks(why="HRESCH"), False),
    ([consent(permit())], BLOOD, asks(why="HRESCH"), False),
    ([consent(permit(purpose=RESEARCH))], BLOOD, asks(why="HRESCH"), True),
    ([consent(permit(purpose=RESEARCH))], HIV, asks(why="HRESCH", tell=NONE), False),
    ([consent(permit(purpose=RESEARCH))], BLOOD, asks(why="HPAYMT"), False),
    ([consent(permit(purpose=[*RESEARCH, *BILLS], actor=who(CLINIC)))], BLOOD,
     asks(CLINIC, why="HPAYMT"), True),
    ([consent(permit(deny(label=HIV_LABEL), purpose=RESEARCH))], HIV, asks(why="HRESCH"), False),
    ([consent(permit(permit(kind=kinds("Observation")), purpose=RESEARCH))], BLOOD,
     asks(why="HRESCH"), True),
    ([consent(permit(purpose=RESEARCH))], PATIENT, asks(why="HRESCH"), True),
    ([consent(permit(purpose=RESEARCH, action=[concept(ACTION, "use")]))], BLOOD,
     asks(why="HRESCH"), False),  # it says nothing of reading
    ([consent(permit(purpose=RESEARCH, action=[concept(ACTION, "use", "access")]))], BLOOD,
     asks(why="HRESCH"), True),
    # undated data are not surely of the period
    ([consent(permit(purpose=RESEARCH, dataPeriod={"end": "2025"}))], BLOOD, asks(why="HRESCH"),
     False),
    ([consent(permit(purpose=RESEARCH, dataPeriod={"end": "2025"}))],
     observation(effectiveDateTime="2025"), asks(why="HRESCH"), True),
    # what is not evaluated makes a permit void; of alternatives those that are understood count
    ([consent(permit(purpose=RESEARCH, actor=who(("CareTeam", "t"))))], BLOOD, asks(why="HRESCH"),
     False),
    ([consent(permit(purpose=RESEARCH, actor=who(("CareTeam", "t"), DOCTOR)))], BLOOD,
     asks(DOCTOR, why="HRESCH"), True),
    ([consent(permit(purpose=RESEARCH, modifierExtension=[{"url": "http://a"}]))], BLOOD,
     asks(why="HRESCH"), False),
    ([consent(permit(purpose=RESEARCH), modifierExtension=[{"url": "http://a"}])], BLOOD,
     asks(why="HRESCH"), False),
]  # fmt: skip


@pytest.mark.parametrize(("consents", "resource", "ask", "expected"), [*DENIALS, *PERMITS])
def test_it_is_told_or_not(
    consents: list[dict[str, Any]], resource: dict[str, Any], ask: Ask, expected: bool
) -> None:
    assert is_told(resource, ask, *consents) is expected


@pytest.mark.parametrize(
    ("period", "at", "expected"),
    [
        ({"start": "2026-11-01", "end": "2026-11-30"}, "2026-10-31T23:59:59.999999+07:00", False),
        ({"start": "2026-11-01", "end": "2026-11-30"}, "2026-11-01T00:00:00+07:00", True),
        # https://hl7.org/fhir/R4/datatypes.html#Period: the end day is in it, here, not in UTC
        ({"start": "2026-11-01", "end": "2026-11-30"}, "2026-11-30T23:59:59.999999+07:00", True),
        ({"start": "2026-11-01", "end": "2026-11-30"}, "2026-12-01T00:00:00+07:00", False),
        ({"end": "2026-11-30T08:00:00Z"}, "2026-11-30T15:00:00.5+07:00", True),
        ({"end": "2026-11-30T08:00:00Z"}, "2026-11-30T15:00:01+07:00", False),
    ],
)
def test_a_permit_holds_to_the_end_of_its_period(
    period: dict[str, str], at: str, expected: bool
) -> None:
    given = consent(permit(actor=who(HOSPITAL), label=HIV_LABEL, period=period))
    ask = asks(HOSPITAL, at=datetime.fromisoformat(at), tell=NONE)
    assert is_told(HIV, ask, given) is expected


def test_a_broken_glass_shows_what_is_denied_and_what_is_restricted() -> None:
    ask = replace(asks(DOCTOR, tell=NONE), is_broken=True)
    assert is_told(HIV, ask, consent(deny()))


def test_one_of_two_hides_what_is_about_both_and_neither_alone_opens_it() -> None:
    both = observation(performer=[{"reference": "Patient/q"}])
    here = seen(both, index(both, RULES))
    of_p = directives.read(consent(permit(purpose=RESEARCH)), RULES).rules
    of_q = directives.read(consent(deny()), RULES).rules
    assert not decide({person_comp("q"): of_q}, here, asks(HOSPITAL))
    assert not decide({person_comp("p"): of_p}, here, asks(why="HRESCH"))


def test_a_list_of_medicines_is_nobodys() -> None:
    """An antiretroviral among the drugs of a pharmacy tells of nobody; a label does count."""
    drug = {
        "resourceType": "Medication",
        "id": "m",
        "code": concept("http://www.whocc.no/atc", "J05AR03"),
    }
    assert is_told(drug, asks(tell=NONE))
    assert is_told(drug, asks(why="HRESCH"))
    assert not is_told({**drug, "meta": {"security": R_LABEL}}, asks(tell=NONE))


ISSUES = [
    (consent(deny()), []),
    (consent({"period": {"start": "2026"}}), [("error", "Consent.provision.type")]),
    (consent(None, policyRule=concept(ACT, "HIPAA-Auth")), [("error", "Consent.provision.type")]),
    (consent(deny(), patient={"display": "ai"}), [("error", "Consent.patient")]),
    (consent(deny({})), [("error", "Consent.provision.provision[0].type")]),
    (consent(deny(actor=who(("Group", "g")))), [("warning", "Consent.provision.actor")]),
    (consent(permit(permit(), actor=who(("Group", "g")))),
     [("warning", "Consent.provision.actor"), ("warning", "Consent.provision.provision[0]")]),
    (consent(deny(modifierExtension=[{}])), [("warning", "Consent.provision.modifierExtension")]),
    (consent({}, status="rejected"), []),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), ISSUES)
def test_the_sender_is_told_what_is_not_evaluated(
    given: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = directives.read(given, RULES).issues
    assert [(one.severity, one.expression[0]) for one in found] == expected
    assert all(one.vi for one in found)


def test_no_consent_is_longer_than_what_one_look_takes() -> None:
    given = consent(permit(*(deny(actor=who(DOCTOR)) for _ in range(600))))
    found = directives.read(given, RULES)
    assert [(one.effect, one.actors) for one in found.rules] == [(DENY, ())]
    assert [one.severity for one in found.issues] == ["error"]
