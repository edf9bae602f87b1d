"""What may stand in the files of the keys of signers: `signatures.keys`."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from api.signing import Signer, base64url, write_keys
from ehr_server.setting import SettingError
from ehr_server.settings import read_settings
from ehr_server.signatures.keys import Folder, keys_of

EC = Signer("a").jwk()


def test_keys_of_a_set_have_their_signer() -> None:
    (key,) = keys_of("bv", {"keys": [EC | {"exp": 5, "nbf": 1}], "who": {"display": "BV"}})
    assert (key.kid, key.signer, key.not_before, key.expires) == ("a", "bv", 1, 5)
    assert key.who == {"display": "BV"}
    assert key.algorithms == ("ES256", "ES384", "ES512")


def test_a_key_that_names_its_algorithm_has_no_other() -> None:
    (key,) = keys_of("bv", {"keys": [EC | {"alg": "ES256"}]})
    assert key.algorithms == ("ES256",)


def test_keys_for_encryption_are_left_out() -> None:
    assert keys_of("bv", {"keys": [EC | {"use": "enc"}]}) == []


def _jwk(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=more.pop("private", False)), "kid": "a", **more}


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": {}},
        {"keys": ["a"]},
        {"keys": [EC], "who": "BV"},
        {"keys": [{**EC, "kid": ""}]},
        {"keys": [{**EC, "kid": 7}]},
        {"keys": [{**EC, "alg": "none"}]},
        {"keys": [{**EC, "alg": "RS256"}]},
        {"keys": [{**EC, "x": "AA"}]},
        {"keys": [{**EC, "exp": "2026"}]},
        {"keys": [{**EC, "nbf": True}]},
        {"keys": [{"kid": "a"}]},
        {"keys": [_jwk(OctKey.generate_key(256), private=True)]},
        {"keys": [_jwk(ECKey.generate_key("P-256"), private=True)]},
        {"keys": [_jwk(OKPKey.generate_key("Ed25519"), private=True)]},
        {"keys": [_jwk(RSAKey.generate_key(2048), private=True)]},
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(jwks: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        keys_of("bv", jwks)


@pytest.mark.filterwarnings("ignore:Key size should")
def test_a_weak_rsa_key_is_refused() -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "a", "n": base64url(weak.n.to_bytes(128, "big")), "e": "AQAB"}
    with pytest.raises(ValueError, match="2048"):
        keys_of("bv", {"keys": [jwk]})


def test_a_signer_has_its_own_keys(tmp_path: Path) -> None:
    write_keys(tmp_path, "one", EC)
    write_keys(tmp_path, "two", Signer("b").jwk())
    folder = Folder(tmp_path)
    assert [key.signer for key in folder.keys("one")] == ["one"]
    assert [key.signer for key in folder.keys(None)] == ["one", "two"]
    assert folder.keys("three") == []


def test_files_that_change_are_read_anew(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.keys(None) == []
    write_keys(tmp_path, "one", EC)
    assert [key.kid for key in folder.keys(None)] == ["a"]
    write_keys(tmp_path, "one", Signer("b").jwk())
    os.utime(tmp_path / "one.json", (1, 1))
    assert [key.kid for key in folder.keys(None)] == ["b"]
    (tmp_path / "one.json").unlink()
    assert folder.keys(None) == []


def test_a_file_that_cannot_be_used_takes_no_other_along(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the log, and not what stands in it."""
    write_keys(tmp_path, "one", EC)
    private = _jwk(ECKey.generate_key("P-256"), private=True)
    (tmp_path / "two.json").write_text(json.dumps({"keys": [private]}))
    (tmp_path / "three.json").write_text("{")
    with caplog.at_level(logging.ERROR):
        assert [key.signer for key in Folder(tmp_path).keys(None)] == ["one"]
    assert "two.json" in caplog.text
    assert "three.json" in caplog.text
    assert private["d"] not in caplog.text


def test_a_folder_that_is_away_has_no_keys(tmp_path: Path) -> None:
    assert Folder(tmp_path / "none").keys(None) == []


def test_signatures_need_their_keys(tmp_path: Path) -> None:
    nothing = tmp_path / "none"
    with pytest.raises(SettingError, match="signature-keys-dir"):
        read_settings({"signatures": "required"}, environment={}, env_file=nothing)
