"""Checks of the port: whether it is free, or whose it is."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING

from ehr_server.doctor.finding import Finding, fail, ok
from ehr_server.fhir import json

if TYPE_CHECKING:
    from ehr_server.settings import Settings

_WAIT_S = 5


def port(settings: Settings) -> Finding:
    """Free, or served by a server that is ready."""
    shown = f"port {settings.port} of {settings.host}"
    if settings.port == 0 or not _is_taken(settings):
        return ok(f"{shown} is free")
    status = _status(settings)
    if status == "ready":
        return ok(f"an ehr-server answers on {shown}, and is ready")
    if status:
        return fail(f"an ehr-server answers on {shown}: {status}",
                    "see what is said of the database, and the log of the server")  # fmt: skip
    return fail(f"{shown} is taken by another program", "stop that one, or set port to another")


def _is_taken(settings: Settings) -> bool:
    try:
        socket.create_connection((settings.host, settings.port), _WAIT_S).close()
    except OSError:
        return False
    return True


def _status(settings: Settings) -> str:
    """What /health/ready says, "" where it is none of ours."""
    asked = HTTPConnection(settings.host, settings.port, timeout=_WAIT_S)
    try:
        if settings.tls_certificate is not None:
            asked = HTTPSConnection(
                settings.host, settings.port, timeout=_WAIT_S, context=_trusting(settings)
            )
        asked.request("GET", "/health/ready")
        said = json.read_own(asked.getresponse().read())
        return str(said["status"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return ""
    finally:
        asked.close()


def _trusting(settings: Settings) -> ssl.SSLContext:
    """Of all certificates the server's own alone, whatever name it is for."""
    trust = ssl.create_default_context(cafile=settings.tls_certificate)
    trust.check_hostname = False
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return trust
