"""What a server tells of who is let in, and how.

https://hl7.org/fhir/smart-app-launch/conformance.html#using-well-known
"""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.admission.addresses import JWKS_PATH, TOKEN_PATH, beside
from ehr_server.admission.issuers import Issuer, discovery
from ehr_server.admission.signed import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

_FRESH_S = 600
_AGAIN_S = 30
_TAKEN = (  # from the document of a provider where people log in
    *("authorization_endpoint", "token_endpoint", "introspection_endpoint"),
    *("revocation_endpoint", "jwks_uri"),
)
_LOGIN = (
    *("launch-standalone", "client-public", "client-confidential-symmetric"),
    *("context-standalone-patient", "permission-patient", "permission-user", "sso-openid-connect"),
)


class SmartConfiguration:
    """The document of one process; that of a provider is asked for now and then."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._login = next((one for one in issuers if one.is_login), None)
        self._told: dict[str, Any] = {}
        self._until_s = -float("inf")
        self._lock = Lock()

    def at(self, base_url: str) -> dict[str, Any]:
        """The document of the server with this FHIR base. Where people log in at a provider, its
        addresses are told; those of our own endpoint otherwise."""
        found: dict[str, Any] = {
            "token_endpoint": beside(base_url, TOKEN_PATH),
            "jwks_uri": beside(base_url, JWKS_PATH),
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
            "scopes_supported": ["system/*.cruds", "system/*.rs"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }
        told = self._provider()
        if not told:
            return found
        login = self._login
        return {
            **found,
            **{name: told[name] for name in _TAKEN if isinstance(told.get(name), str)},
            "issuer": "" if login is None else login.issuer,
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "scopes_supported": ["openid", "fhirUser", "patient/*.rs", "user/*.cruds"],
            "capabilities": [*found["capabilities"], *_LOGIN],
        }

    def _provider(self) -> dict[str, Any]:
        if self._login is None:
            return {}
        with self._lock:
            if clock.ticks_s() >= self._until_s:
                try:
                    self._told = discovery(self._login.issuer)
                    self._until_s = clock.ticks_s() + _FRESH_S
                except (OSError, ValueError) as error:  # what it told before goes on
                    self._until_s = clock.ticks_s() + _AGAIN_S
                    log.warning("%s tells nothing of itself: %s", self._login.name, error)
            return self._told
