"""Keys that tokens are checked by: JWK sets, held for a while and fetched again when a key is new.

https://www.rfc-editor.org/rfc/rfc7517. A provider rotates its keys by publishing the new one before
it signs with it; a key that is not known yet is asked for at once, but not over and over, since
anybody can name one. When the provider is away, the keys that it had serve on for a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from joserfc import jwk
from joserfc.errors import JoseError

from ehr_server import clock
from ehr_server.admission.rejected import Rejected
from ehr_server.errors import Unavailable

if TYPE_CHECKING:
    from ehr_server.admission.signed import Signed

log = logging.getLogger(__name__)

STALE_S = 86_400  # for which they serve while they cannot be had
KEYS_MAX = 64
_RSA_BITS_MIN = 2048  # RFC 7518, 3.3
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


class KeysError(ValueError):
    """What is given as keys are none; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key; `thumbprint` as https://www.rfc-editor.org/rfc/rfc7638 makes it, by SHA-256.
    `algorithm` is the only one that it is for, "" where it does not say."""

    kid: str
    thumbprint: str
    algorithm: str
    kind: str
    public: jwk.Key

    def fits(self, algorithm: str) -> bool:
        """Whether a signature of this algorithm can be one by this key."""
        if self.algorithm:
            return self.algorithm == algorithm
        if self.kind == "RSA":
            return algorithm[:2] in ("RS", "PS")
        return _CURVES.get(algorithm) == self.kind


def keys_of(jwks: object, *, is_strict: bool = False) -> tuple[Key, ...]:
    """The keys of a JWK set that signatures are checked by. What is of another kind is left out,
    or refused where the set is to be strict.

    Raises `KeysError` for what is no set, has no such key, or too many.
    """
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(listed, list):
        raise KeysError("a JWK set is expected, an object with an array `keys`")
    if len(listed) > KEYS_MAX:
        raise KeysError(f"a JWK set of at most {KEYS_MAX} keys is expected")
    found = []
    for one in listed:
        try:
            found.append(_key(one))
        except KeysError:
            if is_strict:
                raise
    if not found:
        raise KeysError("the JWK set has no public key for signatures")
    return tuple(found)


def thumbprint_of(value: dict[str, Any]) -> str:
    """The RFC 7638 thumbprint of a JWK. Raises `KeysError`."""
    return _key(value).thumbprint


def _key(value: object) -> Key:
    if not isinstance(value, dict) or str(value.get("kty")) not in _PUBLIC:
        raise KeysError("a key is not of the kinds RSA, EC and OKP")
    if value.get("use", "sig") != "sig":
        raise KeysError("a key is not for signatures (`use`)")
    public: dict[str, Any] = {name: value.get(name) for name in ("kty", *_PUBLIC[value["kty"]])}
    try:
        key = jwk.import_key(public)
        bits = key.public_key.key_size if isinstance(key, jwk.RSAKey) else _RSA_BITS_MIN
        thumbprint = key.thumbprint()
    except (JoseError, ValueError, TypeError, AttributeError):
        raise KeysError("a key cannot be read") from None
    if bits < _RSA_BITS_MIN:
        raise KeysError(f"a key of RSA has fewer than {_RSA_BITS_MIN} bits")
    kind = str(public["kty"] if public["kty"] == "RSA" else public["crv"])
    kid = value.get("kid")
    algorithm = value.get("alg")
    return Key(
        kid if isinstance(kid, str) else thumbprint,
        thumbprint,
        algorithm if isinstance(algorithm, str) else "",
        kind,
        key,
    )


def pick(keys: Iterable[Key], signed: Signed) -> Key | None:
    """The key that a token names, or the only one that its algorithm fits if it names none."""
    fitting = [key for key in keys if key.fits(signed.algorithm)]
    if "kid" in signed.header:
        return next((key for key in fitting if key.kid == signed.kid), None)
    return fitting[0] if len(fitting) == 1 else None


@dataclass(frozen=True, slots=True)
class Pace:
    """After how many seconds an unknown key is asked for once more, and all are asked for again."""

    again_s: int = 30
    fresh_s: int = 600


class KeySource:
    """The keys that `load` brings (a JWK set; it may raise OSError or ValueError), of which those
    with the thumbprints `pins` are taken alone if there are any. `name` is for the log."""

    def __init__(
        self,
        name: str,
        load: Callable[[], object],
        pins: frozenset[str] = frozenset(),
        pace: Pace = Pace(),
    ) -> None:
        self._name = name
        self._load = load
        self._pins = pins
        self._pace = pace
        self._keys: tuple[Key, ...] = ()
        self._loaded_s = -float("inf")
        self._tried_s = -float("inf")
        self._lock = Lock()

    def key_of(self, signed: Signed) -> Key:
        """The key that a token is to be checked by.

        Raises `Rejected` where there is none such, `Unavailable` where none can be had.
        """
        if clock.ticks_s() - self._loaded_s > self._pace.fresh_s:
            self._refresh()
        key = pick(self._keys, signed)
        if key is None:
            self._refresh()
            key = pick(self._keys, signed)
        if clock.ticks_s() - self._loaded_s > STALE_S:
            raise Unavailable(
                "The keys of who issued the token cannot be had; try again later.",
                vi="Không lấy được khóa của nơi cấp token; xin thử lại sau.",
                headers={"Retry-After": str(self._pace.again_s)},
            )
        if key is None:
            raise Rejected(
                "key",
                "The token is signed by a key that its issuer does not publish, or that is not "
                "accepted here.",
                "Token được ký bằng khóa mà nơi cấp không công bố, hoặc không được chấp nhận ở "
                "đây.",
            )
        return key

    def _refresh(self) -> None:
        """Ask again, unless that was just done. One thread asks; others go on with what there is,
        if there is anything."""
        if self._keys and clock.ticks_s() - self._tried_s < self._pace.again_s:
            return
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if clock.ticks_s() - self._tried_s < self._pace.again_s:
                return
            self._tried_s = clock.ticks_s()
            found = keys_of(self._load())
            pinned = tuple(key for key in found if key.thumbprint in self._pins)
            self._keys = pinned if self._pins else found
            self._loaded_s = clock.ticks_s()
        except (OSError, ValueError) as error:
            log.warning("keys of %s cannot be had: %s", self._name, error)
        finally:
            self._lock.release()
