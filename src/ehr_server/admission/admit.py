"""Who is let in, and as whom: the header Authorization to a caller.

https://www.rfc-editor.org/rfc/rfc6750, https://hl7.org/fhir/R4/security.html. A token is checked
once and remembered by its SHA-256 until it expires, five minutes at most, or until a client or a
key of ours changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.admission.claims import text
from ehr_server.admission.clients import Clients
from ehr_server.admission.issuers import issuers
from ehr_server.admission.own import OwnTokens, new_key
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import Signed, taken_apart
from ehr_server.errors import Unauthorized
from ehr_server.issue import Issue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store

REMEMBERED_S = 300
_REMEMBERED_MAX = 10_000
_SCHEME = "bearer"
_CHALLENGE = 'Bearer realm="fhir"'  # RFC 6750, 3: the scheme has a parameter or more
# What is told to everyone.
_OPEN = (("metadata",), (".well-known", "smart-configuration"))
_TYPES = frozenset(("jwt", "at+jwt"))


@dataclass(frozen=True, slots=True)
class _Known:
    """Whose a token is, `until` when that may be relied on, as of which generation of our clients;
    None where it is not ours."""

    caller: Caller
    until: int
    generation: int | None


class Admission:
    """What lets callers into one process. Raises `SettingError` when the file of issuers is
    wrong."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.settings = settings
        self.clients = Clients(store, new_key)
        self.own = OwnTokens(settings, self.clients)
        self.issuers = issuers(settings)
        self._known: dict[bytes, _Known] = {}
        self._lock = Lock()

    def known(
        self, method: str, path: tuple[str, ...], headers: Mapping[str, str]
    ) -> Caller | None:
        """The caller, where it takes neither the database nor arithmetic to tell who that is: who
        sends no token to a server that is open, or one that was looked at before. Else None."""
        if self._is_open(method, path):
            return LOOPBACK.anew()
        token = _token(headers)
        if token is None:
            return None if self.settings.auth == "required" else LOOPBACK.anew()
        found = self._remembered(token)
        if found is not None and found.generation is not None:
            seen = self.clients.seen
            found = None if seen is None or seen.generation != found.generation else found
        return None if found is None else found.caller.anew()

    def admit(self, method: str, path: tuple[str, ...], headers: Mapping[str, str]) -> Caller:
        """The caller. Raises `Unauthorized` (401) that names the rule which a token breaks, or
        asks for one; `Unavailable` where who can tell is away."""
        if self._is_open(method, path):
            return LOOPBACK.anew()
        token = _token(headers)
        if token is None:
            if self.settings.auth == "required":
                raise _asked()
            return LOOPBACK.anew()
        found = self._remembered(token)
        if found is not None and found.generation in (None, self.clients.current().generation):
            return found.caller.anew()
        try:
            signed = taken_apart(token, _TYPES)
            self._refuse_bound(signed)
            caller, generation = self._caller(signed)
        except Rejected as rejected:
            raise _refused(rejected) from None
        principal = caller.principal
        expires = principal.expires if principal is not None else 0
        until = min(expires, clock.epoch_s() + REMEMBERED_S)
        self._remember(_digest(token), _Known(caller, until, generation))
        return caller.anew()

    def _is_open(self, method: str, path: tuple[str, ...]) -> bool:
        return method == "OPTIONS" or path in _OPEN

    def _caller(self, signed: Signed) -> tuple[Caller, int | None]:
        named = text(signed.claims.get("iss"))
        if named == self.own.issuer:
            generation = self.clients.current().generation
            principal = self.own.principal(signed)
            return Caller(principal.client, principal), generation
        issuer = self.issuers.get(named or "")
        if issuer is None:
            raise Rejected(
                "issuer",
                "The token is of an issuer (iss) that is not trusted here.",
                "Máy chủ không tin cậy nơi cấp token này (iss).",
            )
        principal = issuer.principal(signed, self.settings.auth_skew_s)
        # A client of a provider may have the name of one that is registered here.
        return Caller(f"{issuer.name}/{principal.client}", principal), None

    def _refuse_bound(self, signed: Signed) -> None:
        if "cnf" in signed.claims:  # RFC 7800, RFC 9449: worth nothing without the proof
            raise Rejected(
                "cnf",
                "The token is bound to a key (cnf), and is no bearer token.",
                "Token gắn với khóa riêng (cnf), không dùng được làm bearer token.",
            )

    def _remembered(self, token: str) -> _Known | None:
        found = self._known.get(_digest(token))
        return found if found is not None and found.until > clock.epoch_s() else None

    def _remember(self, digest: bytes, known: _Known) -> None:
        with self._lock:
            while len(self._known) >= _REMEMBERED_MAX:
                del self._known[next(iter(self._known))]
            self._known[digest] = known


def _token(headers: Mapping[str, str]) -> str | None:
    """What follows Bearer; None where there is no such header, or one of another scheme."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()


def _asked() -> Unauthorized:
    return Unauthorized(
        "This server asks who calls: send a token in the header Authorization: Bearer.",
        vi="Máy chủ yêu cầu xác thực: hãy gửi token trong tiêu đề Authorization: Bearer.",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def _refused(rejected: Rejected) -> Unauthorized:
    issue = Issue(
        "error", "expired" if rejected.rule == "expired" else "login", rejected.text,
        vi=rejected.vi, rule=rejected.rule,
    )  # fmt: skip
    told = f'{_CHALLENGE}, error="invalid_token", error_description="{rejected.text}"'
    return Unauthorized(issues=[issue], headers={"WWW-Authenticate": told})
