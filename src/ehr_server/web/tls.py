"""HTTPS without a proxy: the certificate, its key, and the least that is agreed on.

https://www.rfc-editor.org/rfc/rfc9325 (recommendations for the secure use of TLS)
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from ehr_server.setting import SettingError

if TYPE_CHECKING:
    from pathlib import Path

    from ehr_server.settings import Settings


class Files(NamedTuple):
    """PEM files."""

    certificate: Path
    key: Path


def tls_files(settings: Settings) -> Files | None:
    """The files to serve by, None for plain HTTP. Raises `SettingError` for those that cannot be
    used: now, not at the first connection."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = Files(settings.tls_certificate, settings.tls_key)
    context(files)
    return files


def context(files: Files) -> ssl.SSLContext:
    """What connections are served by: TLS 1.2 and newer, ciphers with forward secrecy."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2; those of 1.3 are all like that
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.set_alpn_protocols(["http/1.1"])
    for path in files:
        if not path.is_file():
            raise SettingError(f"--tls-certificate and --tls-key: there is no file {path}")
    try:
        made.load_cert_chain(files.certificate, files.key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise SettingError(
            f"--tls-certificate {files.certificate} and --tls-key {files.key} are not a "
            f"certificate and its key, in PEM and without a password: {type(error).__name__}"
        ) from None
    return made
