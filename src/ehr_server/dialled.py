"""A connection to where an address leads: for whatever this server fetches itself."""

import http.client
import ssl
from urllib.parse import urlsplit


def dialled(url: str, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the host of an http or https address, not opened yet, and the target to ask
    it for. Certificates are checked; redirects are the caller's affair."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context), target
    return http.client.HTTPConnection(host, port, timeout=timeout_s), target
