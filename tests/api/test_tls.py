"""HTTPS without a proxy: https://www.rfc-editor.org/rfc/rfc9325."""

import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.patients import resident
from servers import Server, serving


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine that nobody else signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["1", "2"])
def secure(
    module_database: str, files: tuple[Path, Path], request: pytest.FixtureRequest
) -> Iterator[Server]:
    certificate, key = map(str, files)
    settings = {"tls_certificate": certificate, "tls_key": key, "workers": request.param}
    with serving(module_database, **settings) as server:
        assert server.url.startswith("https://")
        yield server


@pytest.fixture
def client(secure: Server, files: tuple[Path, Path]) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(files[0]))
    with httpx.Client(base_url=secure.fhir, verify=trust, timeout=30) as client:
        yield client


def test_records_go_in_and_out_and_links_are_https(client: httpx.Client, secure: Server) -> None:
    created = client.post("/Patient", json=resident())
    assert created.status_code == 201
    assert created.headers["Location"].startswith(f"{secure.fhir}/Patient/")
    assert client.get(created.headers["Location"]).json() == created.json()


def test_a_large_body_over_tls(client: httpx.Client) -> None:
    text = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"a" * 900_000}</div>',
    }
    created = client.post("/Patient", json=resident(text=text))
    assert created.status_code == 201
    assert client.get(f"/Patient/{created.json()['id']}").json()["text"] == text


def test_browsers_are_told_to_come_by_https_from_now_on(client: httpx.Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc6797#section-7.1"""
    for address in ("/metadata", "/Patient/nobody"):
        assert client.get(address).headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_versions(secure: Server, version: ssl.TLSVersion, is_taken: bool) -> None:
    """RFC 9325, 3.1.1: TLS 1.2 at the least."""
    asked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asked.check_hostname, asked.verify_mode = False, ssl.CERT_NONE
    asked.set_ciphers("ALL:@SECLEVEL=0")
    asked.minimum_version = asked.maximum_version = version
    place = urlsplit(secure.url)
    with socket.create_connection((str(place.hostname), int(place.port or 443)), 20) as link:
        try:
            with asked.wrap_socket(link) as agreed:
                assert is_taken
                assert agreed.version() == version.name.replace("_", ".")
                assert "GCM" in agreed.cipher()[0] or "CHACHA20" in agreed.cipher()[0]  # type: ignore[index]
        except ssl.SSLError:
            assert not is_taken


def test_plain_http_gets_no_answer(secure: Server) -> None:
    place = urlsplit(secure.url)
    link = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    link.request("GET", "/fhir/metadata")
    with pytest.raises((http.client.HTTPException, OSError)):
        link.getresponse()


def test_doctor_sees_the_server_and_when_its_certificate_ends(
    secure: Server, files: tuple[Path, Path]
) -> None:
    certificate, key = files
    place = urlsplit(secure.url)
    command = [
        sys.executable,
        "-m",
        "ehr_server",
        "doctor",
        f"--database-url={secure.database_url}",
    ]
    told = subprocess.run(
        [*command, f"--port={place.port}", f"--tls-certificate={certificate}", f"--tls-key={key}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    assert f"an ehr-server answers on port {place.port} of 127.0.0.1, and is ready" in told
    assert "ends in 0 days" in told


def test_a_certificate_that_is_none_is_refused_at_the_start(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = files
    other = tmp_path / "other"
    other.mkdir()
    stranger = _certificate(other)[1]
    for one, another in (
        (key, certificate),
        (certificate, stranger),
        (certificate, tmp_path / "x"),
    ):
        with (
            pytest.raises(AssertionError, match="--tls-certificate"),
            serving("postgresql:///nowhere", tls_certificate=str(one), tls_key=str(another)),
        ):
            pass
