"""Providers of OpenID whose tokens are taken: a file of the site says which, and what they mean.

    {"issuers": [{
      "name": "keycloak",
      "issuer": "https://login.example.vn/realms/health",
      "audience": ["https://ehr.example.vn/fhir"],
      "claims": {"policy": "ehr_policy", "facility": "ehr_facility", "purposes": "ehr_purposes"},
      "policy": "person"
    }]}

docs/guides/authentication.md has every name. Keys come from `jwks_file`, from `jwks_uri`, or from
where the provider's own discovery document says:
https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server.access.principal import Principal
from ehr_server.admission.claims import check_audience, check_times, text, texts
from ehr_server.admission.fetch import is_safe, json_at
from ehr_server.admission.keys import KeySource, Pace
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import ALGORITHMS, Signed, check_signature
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.setting import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.settings import Settings

DISCOVERY = "/.well-known/openid-configuration"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_CLAIMS = {  # what a Principal is made of: the claims that hold it unless the file says otherwise
    "policy": "ehr_policy",
    "facility": "ehr_facility",
    "purposes": "ehr_purposes",
    "patient": "patient",
    "user": "fhirUser",
}
_KNOWN = {
    *("name", "issuer", "audience", "jwks_uri", "jwks_file", "pins", "algorithms"),
    *("policy", "claims", "is_login", "keys_again_s", "keys_fresh_s"),
}
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """A provider: `name` is ours for it, `issuer` what its tokens say (`iss`). `policy` is that of
    tokens which name none. `is_login`: people log in there (SMART App Launch)."""

    name: str
    issuer: str
    audience: frozenset[str]
    keys: KeySource
    algorithms: frozenset[str] = ALGORITHMS
    policy: str = ""
    claims: Mapping[str, str] = field(default_factory=lambda: _CLAIMS)
    is_login: bool = False

    def principal(self, signed: Signed, skew_s: int) -> Principal:
        """Who the token is of. Raises `Rejected`, and `Unavailable` where keys cannot be had."""
        if signed.algorithm not in self.algorithms:
            raise Rejected(
                "algorithm",
                "The token is signed by an algorithm that is not accepted of its issuer.",
                "Thuật toán ký token không được chấp nhận đối với nơi cấp này.",
            )
        check_signature(signed, self.keys.key_of(signed))
        claims = signed.claims
        check_audience(claims, self.audience)
        expires = check_times(claims, skew_s)
        subject = text(claims.get("sub"))
        client = text(claims.get("azp")) or text(claims.get("client_id")) or subject
        if subject is None or client is None:
            raise Rejected(
                "sub", "The token does not say whose it is (sub).", "Token không nêu chủ thể (sub)."
            )
        of = {name: claims.get(claim) for name, claim in self.claims.items()}
        return Principal(
            client,
            subject,
            self.issuer,
            tuple(dict.fromkeys((*texts(claims.get("scope")), *texts(claims.get("scp"))))),
            text(of["policy"]) or self.policy,
            _id(of["facility"], "Organization"),
            _reference(of["user"]),
            _id(of["patient"], "Patient"),
            texts(of["purposes"]),
            expires,
        )


def issuers(settings: Settings) -> dict[str, Issuer]:
    """The providers that the setting `auth_issuers` names, by what their tokens say (`iss`).

    Raises `SettingError` that names what is wrong with the file.
    """
    path = settings.auth_issuers
    if path is None:
        return {}
    try:
        told = json.read(path.read_bytes())
        listed = told["issuers"]
        found = [_issuer(one, path.parent, settings) for one in listed]
    except (Invalid, OSError, KeyError, TypeError, ValueError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else f"{error}"
        raise SettingError(f"--auth-issuers (EHR_AUTH_ISSUERS): {path}: {why}") from None
    names = {one.name for one in found}
    if len({one.issuer for one in found}) < len(found) or len(names) < len(found):
        raise SettingError(f"--auth-issuers (EHR_AUTH_ISSUERS): {path}: an issuer stands twice")
    return {one.issuer: one for one in found}


def discovery(issuer: str) -> dict[str, Any]:
    """What a provider tells of itself. Raises OSError and ValueError."""
    told = json_at(issuer.rstrip("/") + DISCOVERY)
    if not isinstance(told, dict) or told.get("issuer") != issuer:
        raise ValueError("its discovery document is of another issuer")
    return told


def _issuer(told: dict[str, Any], folder: Path, settings: Settings) -> Issuer:
    if unknown := told.keys() - _KNOWN:
        raise ValueError(f"{min(unknown)} is not known; known are {', '.join(sorted(_KNOWN))}")
    name, issuer = told.get("name", "provider"), told["issuer"]
    if not _NAME.fullmatch(name):
        raise ValueError(f"name takes small letters, digits, '.', '_' and '-', not {name!r}")
    if not is_safe(issuer):
        raise ValueError(f"issuer takes an https address, not {issuer!r}")
    audience = told.get("audience", settings.public_url or [])
    audience = [audience] if isinstance(audience, str) else audience
    if not audience:
        raise ValueError(f"{name} has no audience, and there is no base_url to take for it")
    algorithms = frozenset(told.get("algorithms", ALGORITHMS))
    if not algorithms <= ALGORITHMS:
        raise ValueError(f"algorithms are of {', '.join(sorted(ALGORITHMS))}")
    claims = told.get("claims", {})
    if not claims.keys() <= _CLAIMS.keys():
        raise ValueError(f"claims are of {', '.join(_CLAIMS)}")
    return Issuer(
        name,
        issuer,
        frozenset(audience),
        _source(told, folder),
        algorithms,
        told.get("policy", ""),
        {**_CLAIMS, **claims},
        bool(told.get("is_login", False)),
    )


def _source(told: dict[str, Any], folder: Path) -> KeySource:
    name, pins = f"issuer {told.get('name', 'provider')}", frozenset(told.get("pins", ()))
    pace = Pace(int(told.get("keys_again_s", 30)), int(told.get("keys_fresh_s", 600)))
    if "jwks_file" in told:
        path = folder / told["jwks_file"]
        return KeySource(name, lambda: _file(path), pins, pace)
    if "jwks_uri" in told:
        if not is_safe(told["jwks_uri"]):
            raise ValueError(f"jwks_uri takes an https address, not {told['jwks_uri']!r}")
        return KeySource(name, partial(json_at, told["jwks_uri"]), pins, pace)
    return KeySource(name, partial(_discovered, told["issuer"]), pins, pace)


def _discovered(issuer: str) -> Any:
    return json_at(str(discovery(issuer).get("jwks_uri", "")))


def _file(path: Path) -> Any:
    try:
        return json.read(path.read_bytes())
    except Invalid as error:
        raise ValueError(error.text) from None


def _id(value: object, type_name: str) -> str | None:
    """The id in a claim that holds one, or a reference to such a resource."""
    told = text(value)
    if told is None:
        return None
    found = told.rpartition(f"{type_name}/")[2]
    return found if _ID.fullmatch(found) else None


def _reference(value: object) -> str | None:
    """`Practitioner/7` of a fhirUser, which may be a whole address."""
    found = _REFERENCE.fullmatch(text(value) or "")
    return None if found is None else found[1]
