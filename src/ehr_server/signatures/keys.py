"""The public keys that senders sign with: a folder of JWK Sets, one file for each signer.

https://www.rfc-editor.org/rfc/rfc7517#section-5. The name of the file without `.json` is the name
of the signer, that of the caller who may sign with these keys. Beside `keys` it may hold `who`, a
FHIR Reference to the signer. A key counts from its `nbf` until its `exp`, in seconds since 1970,
where it says so. The folder is read anew when a file in it has changed, so that keys come and go
without a restart.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from ehr_server.errors import Invalid
from ehr_server.fhir import json

log = logging.getLogger(__name__)

# Asymmetric ones alone: with a shared secret the server could have signed itself, and a public key
# taken for a secret would make everyone a signer. https://www.rfc-editor.org/rfc/rfc8725#section-3.1
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "EC": ("ES256", "ES384", "ES512"),
    "RSA": ("PS256", "PS384", "PS512", "RS256", "RS384", "RS512"),
    "OKP": ("Ed25519",),
}
_RSA_BITS_MIN = 2048  # https://www.rfc-editor.org/rfc/rfc7518#section-3.3
_KID_MAX = 255


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of a signer. `algorithm`: the only one to be used with it, "" for any of its
    kind; `not_before` and `expires` in seconds since 1970; `who`: a Reference to the signer."""

    kid: str
    signer: str
    key: ECKey | RSAKey | OKPKey
    algorithm: str = ""
    not_before: float = 0
    expires: float = float("inf")
    who: Mapping[str, Any] | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What it may be used with."""
        return tuple(one for one in ALGORITHMS[self.key.key_type] if self.algorithm in ("", one))


def keys_of(signer: str, jwks: Mapping[str, Any]) -> list[Key]:
    """The keys of a JWK Set, but for those that are for encryption. Raises `ValueError`, with the
    reason, for what is no such set, private or shared keys, and keys that are too weak."""
    keys, who = jwks.get("keys"), jwks.get("who")
    if not isinstance(keys, list) or not all(isinstance(one, dict) for one in keys):
        raise ValueError("it has no list `keys` of objects")
    if who is not None and not isinstance(who, dict):
        raise ValueError("`who` is no Reference")
    return [_key(signer, one, who) for one in keys if one.get("use", "sig") == "sig"]


class Folder:
    """The keys in a folder, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Any = None
        self._keys: Sequence[Key] = ()

    def keys(self, signer: str | None) -> Sequence[Key]:
        """Those of a signer, of all for None. A file that cannot be used is told in the log, and
        has no keys."""
        seen = self._files()
        if seen != self._seen:
            keys = [key for name, *_ in seen for key in _read(self._path / name)]
            self._keys, self._seen = keys, seen
        return [one for one in self._keys if signer in (None, one.signer)]

    def _files(self) -> list[tuple[str, int, int]]:
        try:
            stats = [(one.name, one.stat()) for one in self._path.glob("*.json")]
        except OSError as error:
            log.error("the folder of the keys of signers cannot be read: %s", error.strerror)
            return []
        return sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def _read(path: Path) -> list[Key]:
    try:
        jwks = json.read(path.read_bytes())
        if not isinstance(jwks, dict):
            raise ValueError("it is no object")
        return keys_of(path.stem, jwks)
    except (OSError, ValueError, Invalid) as error:
        log.error("%s holds no keys of a signer that can be used: %s", path.name, error)
        return []


def _key(signer: str, jwk: dict[str, Any], who: Mapping[str, Any] | None) -> Key:
    kind, kid, algorithm = str(jwk.get("kty")), jwk.get("kid"), jwk.get("alg", "")
    if kind not in ALGORITHMS:
        raise ValueError("a key is not of a kind that signs with a private key (EC, RSA, OKP)")
    if not isinstance(kid, str) or not 0 < len(kid) <= _KID_MAX:
        raise ValueError("a key has no `kid`")
    if algorithm and algorithm not in ALGORITHMS[kind]:
        raise ValueError(
            f"a key is for an algorithm that is not among {', '.join(ALGORITHMS[kind])}"
        )
    times = [jwk.get(name, otherwise) for name, otherwise in (("nbf", 0), ("exp", float("inf")))]
    if any(isinstance(one, bool | str) or not hasattr(one, "__float__") for one in times):
        raise ValueError("`nbf` or `exp` of a key is no number")
    try:
        key = import_key({name: one for name, one in jwk.items() if name not in ("nbf", "exp")})
    except (JoseError, ValueError, TypeError):
        raise ValueError("a key is no JSON Web Key") from None
    if not isinstance(key, ECKey | RSAKey | OKPKey) or key.is_private:
        raise ValueError("it holds a private key, which belongs to the signer alone")
    if isinstance(key, RSAKey) and key.public_key.key_size < _RSA_BITS_MIN:
        raise ValueError(f"an RSA key has less than {_RSA_BITS_MIN} bits")
    return Key(kid, signer, key, algorithm, float(times[0]), float(times[1]), who)
