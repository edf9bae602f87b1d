"""What `ehr-server client` does: programs that get tokens here, and the keys of our own tokens.

A private key is shown once, to who had it made, and kept nowhere here.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.policies import policies
from ehr_server.access.scopes import scope
from ehr_server.admission.fetch import is_safe
from ehr_server.admission.granting import system_scope
from ehr_server.admission.keys import KeysError, keys_of
from ehr_server.admission.own import new_key, public
from ehr_server.commands import CommandError, opened
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.store import clients as kept

if TYPE_CHECKING:
    import argparse

    from ehr_server.settings import Settings

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_KINDS: dict[str, tuple[str, str | int]] = {"ES384": ("EC", "P-384"), "RS384": ("RSA", 3072)}
_SIGNING_KEPT = timedelta(hours=2)  # longer than any token lives
_NOTHING = "-"


def add(settings: Settings, options: argparse.Namespace) -> int:
    """Register a program; print its id, and where its new private key is if one was made."""
    _check(settings, options)
    keys, jwks_uri, private = _keys(options)
    client = kept.Client(
        options.id,
        options.name or options.id,
        tuple(dict.fromkeys(options.scope)),
        options.policy,
        options.facility,
        tuple(dict.fromkeys(options.purpose or ())),
        keys,
        jwks_uri,
        clock.now(),
    )
    with opened(settings) as store, store.connection() as connection, connection.transaction():
        if not kept.add(connection, client):
            raise CommandError(
                f"there is or was a client {client.id}; an id is never given twice, since what "
                "was stored names it."
            )
        told = _given_away(private, options.out)
    print(f"{client.id} is registered{told}")
    return 0


def list_(settings: Settings, _options: argparse.Namespace) -> int:
    """Print all clients, also those that were revoked."""
    with opened(settings) as store, store.connection() as connection:
        found = kept.clients(connection)
    print("id\tname\tpolicy\tfacility\tpurposes\tscopes\tkeys\tmade\trevoked")
    for one in found:
        told = (
            *(one.id, one.name, one.policy, one.facility, " ".join(one.purposes)),
            *(" ".join(one.scopes), one.jwks_uri or " ".join(map(_key_told, one.keys))),
            *(clock.instant(one.made), None if one.revoked is None else clock.instant(one.revoked)),
        )
        print("\t".join(text or _NOTHING for text in told))
    return 0


def revoke(settings: Settings, options: argparse.Namespace) -> int:
    """Let a program in no more; the tokens that it has are refused within a second."""
    with opened(settings) as store, store.connection() as connection:
        if not kept.revoke(connection, options.id, clock.now()):
            raise _not_there(options.id)
    print(f"{options.id} is revoked")
    return 0


def rotate(settings: Settings, options: argparse.Namespace) -> int:
    """Give a program new keys; those it had serve on for some hours."""
    keys, jwks_uri, private = _keys(options)
    until = clock.instant(clock.now() + timedelta(hours=options.overlap_h))
    with opened(settings) as store, store.connection() as connection, connection.transaction():
        client = kept.find(connection, options.id)
        if client is None or client.revoked is not None:
            raise _not_there(options.id)
        new = {key["kid"] for key in keys}
        old = [
            {**key, "until": min(key["until"] or until, until)}
            for key in client.keys
            if key["kid"] not in new
        ]
        serving = [key for key in old if key["until"] > clock.instant(clock.now())]
        if not kept.rekey(connection, client.id, [*keys, *serving], jwks_uri):
            raise _not_there(options.id)
        told = _given_away(private, options.out)
    print(f"{client.id} has new keys; {len(serving)} of before serve until {until}{told}")
    return 0


def rotate_own(settings: Settings, _options: argparse.Namespace) -> int:
    """Sign tokens of our own with a new key; those that are in use stay good."""
    key = new_key()
    with opened(settings) as store, store.connection() as connection:
        kept.signing_keys(connection, new_key)
        kept.rotate_signing_keys(connection, key, clock.now() - _SIGNING_KEPT)
    print(f"tokens are signed by the key {key['kid']}")
    return 0


def _check(settings: Settings, options: argparse.Namespace) -> None:
    if not _ID.fullmatch(options.id):
        raise CommandError("an id takes up to 64 letters, digits, '.', '_' and '-'.")
    for one in options.scope:
        if system_scope(one) is None or scope(one) is None:  # of a type that there is
            raise CommandError(f"--scope takes scopes such as system/Observation.rs, not {one}.")
    if options.facility is not None:
        options.facility = options.facility.removeprefix("Organization/")
        if not _FHIR_ID.fullmatch(options.facility):
            raise CommandError("--facility takes the id of an Organization.")
    known = policies(settings.policies_dir)
    if options.policy not in known:  # without one nothing is allowed
        raise CommandError(f"--policy takes one of {', '.join(sorted(known))}.")
    if known[options.policy].needs_facility and options.facility is None:
        raise CommandError(f"the policy {options.policy} asks for a --facility.")


def _keys(
    options: argparse.Namespace,
) -> tuple[tuple[dict[str, Any], ...], str | None, dict[str, Any] | None]:
    """The public keys that the options give, or the address of them, and the private key that was
    made."""
    if options.generate is not None:
        made = new_key(*_KINDS[options.generate])
        return (_registered(made),), None, made
    if options.jwks.startswith(("http://", "https://")):
        if not is_safe(options.jwks):
            raise CommandError("--jwks takes an https address, or a file.")
        return (), options.jwks, None
    path = Path(options.jwks)
    try:
        told = json.read(path.read_bytes())
        listed = told["keys"] if isinstance(told, dict) and "keys" in told else [told]
        found = keys_of({"keys": listed}, is_strict=True)
    except Invalid as error:
        raise CommandError(f"{path}: {error}") from None
    except KeysError as error:
        raise CommandError(f"{path}: {error}.") from None
    if any(public(key) != key for key in listed):
        raise CommandError(f"{path} holds a private key; give the public one, and keep that.")
    names = [key.kid for key in found]
    if len(set(names)) < len(names):
        raise CommandError(f"{path}: two keys have the same kid.")
    return tuple(
        _registered({**one, "kid": key.kid}) for one, key in zip(listed, found, strict=True)
    ), None, None  # fmt: skip


def _registered(key: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in public(key).items() if name != "made"}
    return {**shown, "until": None}


def _given_away(private: dict[str, Any] | None, out: Path | None) -> str:
    """What is to be said of the private key: it itself, or that it is in a new file for nobody but
    this user. Raises OSError where that cannot be made, and then nobody is to have the key."""
    if private is None:
        return ""
    key = {name: value for name, value in private.items() if name != "made"}
    written = json.write_pretty(key) + b"\n"
    if out is None:
        return f"\nits private key, which is shown this once:\n{written.decode().rstrip()}"
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(written)
    return f"\nits private key is in {out}, for you alone to read"


def _key_told(key: dict[str, Any]) -> str:
    return key["kid"] if key["until"] is None else f"{key['kid']} (until {key['until']})"


def _not_there(id_: str) -> CommandError:
    return CommandError(f"there is no client {id_}, or it was revoked.")
