"""Checks of the certificate that HTTPS is served by, and of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from ehr_server import clock
from ehr_server.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from ehr_server.settings import Settings

_DAYS_WARN = 30
_OTHERS = 0o007


def certificate(settings: Settings) -> Finding:
    """It can be read, goes on for a while, and its key is nobody else's to read."""
    path, key = settings.tls_certificate, settings.tls_key
    if path is None or key is None:
        return ok("HTTPS, if any, is a proxy's: there is no tls-certificate")
    try:
        first, *_ = x509.load_pem_x509_certificates(path.read_bytes())
        mode = key.stat().st_mode
    except (OSError, ValueError) as error:
        return fail(
            f"the certificate {path} or its key cannot be read: {type(error).__name__}",
            "set tls-certificate and tls-key to PEM files that this user may read",
        )
    days = (first.not_valid_after_utc - clock.now()).days
    what = f"the certificate {path} ends in {days} days"
    if days < 0:
        return fail(f"the certificate {path} has ended", "renew it, and start the server anew")
    if days < _DAYS_WARN:
        return warn(what, "renew it, and start the server anew")
    if mode & _OTHERS:
        return warn(f"everybody on this machine may read the key {key}", f"chmod o= {key}")
    return ok(what)
