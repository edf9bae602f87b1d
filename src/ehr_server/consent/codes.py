"""The codes of a Consent: purposes, labels, classes, actions, roles, and what is said of those that
are not understood.

https://hl7.org/fhir/R4/consent.html#tx
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from ehr_server.consent.rule import purpose, restricted_mark
from ehr_server.definitions import definitions
from ehr_server.hashing import hash64
from ehr_server.issue import Issue
from ehr_server.sensitivity import reason_of_label, reasons

Pair = tuple[str, str]  # system and code

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PURPOSES = frozenset(
    ("TREAT", "ETREAT", "BTG", "HPAYMT", "HRESCH", "PUBHLTH", "PATRQT", "HOPERAT", "HMARKT")
)

# Kinds of purposes that a caller may mean without saying so: who forbids the kind, forbids it where
# the whole is asked for.
_KINDS = {
    kind: whole
    for whole, kinds in {
        "HOPERAT": "CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS HPRGRP"
        " HQUALIMP HSYSADMIN LABELING METAMGT MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR RECORDMGT"
        " SYSDEV HTEST TRAIN",
        "HPAYMT": "CLMATTCH COVAUTH COVERAGE ELIGDTRM ELIGVER ENROLLM MILDCRG REMITADV",
        "HRESCH": "BIORCH CLINTRCH CLINTRCHNPC CLINTRCHPC PRECLINTRCH DSRCH POARCH TRANSRCH",
        "PATRQT": "FAMRQT PWATRNY SUPNWK",
        "PUBHLTH": "DISASTER THREAT",
        "TREAT": "CLINTRL COC POPHLTH",
        "ETREAT": "ERTREAT",
    }.items()
    for kind in kinds.split()
}

# Who forbids the whole, forbids the kinds: v3-ActCode, below ActInformationSensitivityPolicy.
_MENTAL = ("COGN", "DVD", "EMOTDIS", "MH", "PSY", "PSYTHPN")
_ADDICTION = ("ETH", "SUD", "ETHUD", "OPIOIDUD")
_BELOW = {
    "SPI": ("BH", *_MENTAL, *_ADDICTION),
    "BH": (*_MENTAL, *_ADDICTION),
    "MH": _MENTAL,
    "PSY": ("PSYTHPN",),
    "SUD": _ADDICTION,
    "ETH": _ADDICTION,
    "STD": ("HIV",),
    "GDIS": ("SICKLE",),
}

_PURPOSES_HERE = {  # of the country's profile of Consent, by their codes
    "http://fhir.hl7.org.vn/core/CodeSystem/vn-consent-purpose-cs": {"ERESRCH": "HRESCH"},
    ACT_REASON: {},
}
_TYPES = "http://hl7.org/fhir/resource-types"
_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
_READING = frozenset(("access", "disclose"))
_NOT_READING = frozenset(("collect", "correct"))
_RECIPIENTS = frozenset(("IRCP", "PRCP", "GRANTEE", "DELEGATEE"))


def purposes(coding: dict[str, Any], is_deny: bool) -> tuple[int, ...]:
    """What stands for the purpose; () for one that nobody here asks data for."""
    named = _PURPOSES_HERE.get(coding.get("system", ""))
    code = coding.get("code", "")
    if named is None:
        return ()
    code = named.get(code, code)
    if is_deny:
        code = _KINDS.get(code, code)
    return (purpose(code),) if code in PURPOSES else ()


def labels(coding: dict[str, Any], is_deny: bool) -> tuple[int, ...]:
    """The tokens of rows that bear the label, or are restricted for what it says."""
    system, code = coding.get("system"), coding.get("code")
    if not system or not code:
        return ()
    found = [hash64("_security", system, code.casefold())]
    reason = reason_of_label(system, code)
    if reason is None:
        # Without a label data are normal, moderate, low or unrestricted: that is told by none.
        return () if code in ("N", "M", "L", "U") else tuple(found)
    meant = {reason}
    if is_deny:
        meant |= set(reasons()) if reason == "R" else set(_BELOW.get(reason, ()))
    return (*found, *map(restricted_mark, sorted(meant)))


def reasons_named(codings: Iterable[dict[str, Any]]) -> tuple[int, ...]:
    """The marks of the reasons that labels name in so many words."""
    named = (reason_of_label(one.get("system", ""), one.get("code", "")) for one in codings)
    return tuple(sorted({restricted_mark(reason) for reason in named if reason is not None}))


def type_named(coding: dict[str, Any]) -> str | None:
    """The resource type of a class; None for what is none."""
    code = coding.get("code")
    is_one = coding.get("system") == _TYPES and code in definitions().type_number
    return code if is_one else None


def pairs(concept: dict[str, Any]) -> list[Pair]:
    """The codings of a concept that can be looked for."""
    return [
        (one["system"], one["code"])
        for one in concept.get("coding", ())
        if one.get("system") and one.get("code")
    ]


def are_about_reading(actions: Sequence[dict[str, Any]], is_deny: bool) -> bool:
    """Whether a rule on these actions, of none: on any, is one on reading. A denial of what is not
    known may be; a permit is only if it says so."""
    found = [
        one.get("code") if one.get("system", _ACTION) == _ACTION else None
        for action in actions
        for one in action.get("coding", ({},))
    ]
    if is_deny:
        return not found or any(code not in _NOT_READING for code in found)
    return not found or any(code in _READING for code in found)


def is_recipient(role: dict[str, Any]) -> bool:
    """Whether an actor is one to whom data are told."""
    return any(one.get("code") in _RECIPIENTS for one in role.get("coding", ()))


@cache
def not_understood(place: str, kind: str) -> Issue:
    """What is told of a place of a Consent that is not evaluated."""
    severity, text, vi = _TEXTS[kind]
    code = "not-supported" if severity == "warning" else "business-rule"
    return Issue(
        severity, code, f"{place} {text}", (place,), vi=f"{place} {vi}", rule=f"consent-{kind}"
    )


_TEXTS: dict[str, tuple[Any, str, str]] = {
    "patient": (
        "error",
        "must name a Patient of this server by a reference, such as Patient/1: else the consent "
        "would protect nobody.",
        "phải tham chiếu tới một Patient trên máy chủ này, ví dụ Patient/1; nếu không, sự đồng ý "
        "không bảo vệ ai.",
    ),
    "base": (
        "error",
        "is missing, and policyRule does not say it either: give permit or deny, or a policyRule "
        "OPTIN or OPTOUT of http://terminology.hl7.org/CodeSystem/v3-ActCode.",
        "bị thiếu và policyRule cũng không nêu: xin ghi permit hoặc deny, hoặc policyRule OPTIN "
        "hay OPTOUT của http://terminology.hl7.org/CodeSystem/v3-ActCode.",
    ),
    "nested": (
        "error",
        "is missing: an exception must say whether it is a permit or a deny.",
        "bị thiếu: ngoại lệ phải ghi permit hoặc deny.",
    ),
    "many": (
        "error",
        "has more than 500 provisions in all: write several Consents.",
        "có hơn 500 điều khoản: xin tách thành nhiều Consent.",
    ),
    "permit": (
        "warning",
        "is not evaluated here, so that this permission is not applied.",
        "không được máy chủ xét đến, nên điều khoản cho phép này không có hiệu lực.",
    ),
    "within": (
        "warning",
        "lies in a provision with an element that is not evaluated here, so that this permission "
        "is not applied.",
        "nằm trong điều khoản có phần tử không được xét đến, nên không có hiệu lực.",
    ),
    "denial": (
        "warning",
        "is not evaluated here, so that this denial is applied without it, to more than it says.",
        "không được máy chủ xét đến, nên điều khoản từ chối này được áp dụng rộng hơn.",
    ),
}
