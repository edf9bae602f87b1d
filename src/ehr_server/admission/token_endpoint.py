"""The token endpoint for programs: SMART Backend Services.

https://hl7.org/fhir/smart-app-launch/backend-services.html,
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html: a program signs an
assertion with its own key (RFC 7523) and gets a token for some minutes. Answers and errors are
those of https://www.rfc-editor.org/rfc/rfc6749#section-5.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.admission.claims import check_times, text
from ehr_server.admission.granting import granted
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import check_signature, taken_apart
from ehr_server.store import clients as kept

if TYPE_CHECKING:
    from ehr_server.admission.admit import Admission
    from ehr_server.admission.signed import Signed
    from ehr_server.store.clients import Client
    from ehr_server.store.connect import Store

log = logging.getLogger(__name__)

FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S_MAX = 300  # "no more than five minutes in the future"
JTI_MAX = 512  # letters
FORGET_EVERY_S = 60

_TYPES = frozenset(("jwt", "client-authentication+jwt"))
_NAMES = ("grant_type", "scope", "client_assertion_type", "client_assertion", "client_id")


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What is answered: a status, and JSON. Never to be kept by anybody on the way."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"Cache-Control": "no-store", "Pragma": "no-cache"}
    )


class OAuthError(Exception):
    """A request for a token is refused; `error` as RFC 6749, 5.2 names it."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        told = {"error": error, "error_description": description.replace('"', "'")}
        # RFC 9110, 15.5.2: 401 has a challenge; no scheme stands for what is in a form.
        challenge = {"WWW-Authenticate": f'Bearer realm="token", error="{error}"'}
        headers = TokenAnswer(status, told).headers
        self.answer = TokenAnswer(
            status, told, {**headers, **challenge} if status == 401 else headers
        )


class TokenEndpoint:
    """What answers requests for tokens in one process."""

    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission
        self._forgot_s = -float("inf")

    def answer(self, form: Sequence[tuple[str, str]], addresses: Sequence[str]) -> TokenAnswer:
        """The answer to a form; `addresses` are those of this endpoint, one of which an assertion
        must be for. Raises `Unavailable` where the database, or the keys of a client, are away."""
        try:
            given = _given(form)
            client = self._authenticated(given, addresses)
            scopes = self._granted(client, given.get("scope", ""))
        except OAuthError as error:
            log.info("no token: %s", error)
            return error.answer
        self._forget()
        token = self._admission.own.made(client, scopes)
        return TokenAnswer(
            200,
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": self._admission.settings.auth_token_s,
                "scope": " ".join(scopes),
            },
        )

    def _authenticated(self, given: Mapping[str, str], addresses: Sequence[str]) -> Client:
        """The client whose assertion it is. Raises `OAuthError` `invalid_client`."""
        try:
            signed = taken_apart(given["client_assertion"], _TYPES)
            id_ = text(signed.claims.get("iss"))
            client = self._admission.clients.current(is_new=True).clients.get(id_ or "")
            if client is None or given.get("client_id", client.id) != client.id:
                raise _unknown()
            check_signature(signed, self._admission.clients.key_of(client, signed))
            expires = _checked(signed, client, addresses, self._admission.settings.auth_skew_s)
        except Rejected as rejected:
            raise OAuthError("invalid_client", rejected.text, 401) from None
        jti = text(signed.claims.get("jti"))
        if jti is None or len(jti) > JTI_MAX:
            raise OAuthError("invalid_client", f"jti is a text of 1 to {JTI_MAX} letters.", 401)
        until = datetime.fromtimestamp(expires + self._admission.settings.auth_skew_s, UTC)
        with self._store.connection() as connection:
            if not kept.is_first(connection, client.id, jti, until):
                raise OAuthError("invalid_client", "The assertion was used before (jti).", 401)
        return client

    def _granted(self, client: Client, scope: str) -> list[str]:
        found = granted(scope.split() or client.scopes, client.scopes)
        if not found:
            raise OAuthError("invalid_scope", "The client is registered for none of these scopes.")
        return found

    def _forget(self) -> None:
        """Let go of assertions that expired; now and then."""
        if clock.ticks_s() - self._forgot_s < FORGET_EVERY_S:
            return
        self._forgot_s = clock.ticks_s()
        with self._store.connection() as connection:
            kept.forget_assertions(connection, clock.now() - timedelta(seconds=FORGET_EVERY_S))


def _given(form: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters, each once (RFC 6749, 3.2). Raises `OAuthError`."""
    found: dict[str, str] = {}
    for name, value in form:
        if name in found:
            raise OAuthError("invalid_request", "A parameter stands twice.")
        if name in _NAMES:
            found[name] = value
    if "grant_type" not in found:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if found["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "The only grant_type is client_credentials.")
    if found.get("client_assertion_type") != ASSERTION_TYPE or not found.get("client_assertion"):
        raise OAuthError(
            "invalid_client",
            f"A client says who it is by client_assertion_type {ASSERTION_TYPE} and a "
            "client_assertion.",
            401,
        )
    return found


def _checked(signed: Signed, client: Client, addresses: Sequence[str], skew_s: int) -> int:
    """When the assertion expires. Raises `Rejected`."""
    claims = signed.claims
    if claims.get("sub") != client.id:
        raise Rejected("sub", "iss and sub are both the client.", "iss và sub phải là client.")
    named = claims.get("aud")
    (audience,) = named if isinstance(named, list) and len(named) == 1 else (named,)
    if audience not in addresses:
        raise Rejected(
            "audience",
            f"The assertion is for somebody else: aud is {addresses[0]}.",
            f"Chứng thực dành cho nơi khác: aud phải là {addresses[0]}.",
        )
    expires = check_times(claims, skew_s)
    if expires > clock.epoch_s() + ASSERTION_S_MAX + skew_s:
        raise Rejected(
            "exp",
            f"The assertion lives too long: exp is at most {ASSERTION_S_MAX} seconds ahead.",
            f"Chứng thực có hạn quá dài: tối đa {ASSERTION_S_MAX} giây.",
        )
    return expires


def _unknown() -> Rejected:
    return Rejected(
        "client",
        "The client is not registered here, or was revoked.",
        "Client chưa đăng ký ở đây, hoặc đã bị thu hồi.",
    )
