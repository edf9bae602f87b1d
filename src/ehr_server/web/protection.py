"""What every answer tells browsers and caches, so that they do no harm with it.

A layer around the site. What an answer says itself, it says: a page its own policy, a capability
that it may be kept. https://owasp.org/www-project-secure-headers/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ehr_server.web.hops import App, Receive, Scope, Send

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # addresses name records
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
# Who keeps an answer about a person keeps it from whoever looks next: no cache does. A client that
# holds a version itself still asks with If-None-Match. RFC 9111, 5.2.2.5
_NO_STORE = (b"cache-control", b"no-store")
_OF_NOBODY = ("/fhir/metadata", "/fhir/.well-known/", "/health/", "/openapi.json")
# https://www.rfc-editor.org/rfc/rfc6797#section-7.2: over plain HTTP it must not be said
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Protected:
    """The app, whose answers say what may be done with them."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more = list(_ALWAYS)
        if not scope["path"].startswith(_OF_NOBODY):
            more.append(_NO_STORE)
        if scope["scheme"] == "https":
            more.append(_HSTS)

        async def sent(message: Scope) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                message["headers"] = headers + [one for one in more if one[0] not in said]
            await send(message)

        await self._app(scope, receive, sent)
