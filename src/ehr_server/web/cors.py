"""CORS: which pages of other origins may read answers. https://fetch.spec.whatwg.org/#http-cors-protocol

A layer around the site, there only where the setting `cors_origins` names an origin.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"  # of the site, at one address or another

_SENT = (
    "Authorization, Accept, Content-Type, Content-Encoding, If-Match, If-None-Match, "
    "If-None-Exist, If-Modified-Since, If-Range, Prefer, Idempotency-Key, X-Request-Id, "
    "X-Provenance, X-Purpose-Of-Use, X-Purpose-Reason, X-Security-Context"
)
_SHOWN = (
    "ETag, Location, Content-Location, Last-Modified, Accept-Ranges, Content-Range, "
    "X-Request-Id, WWW-Authenticate, Retry-After, X-Progress, Preference-Applied, "
    "Idempotency-Replayed"
)
_MAX_AGE_S = 7_200  # the most that browsers keep to

_VARY = (b"vary", b"Origin")
_TRUSTED = (b"access-control-allow-credentials", b"true")


class Cors:
    """The app for pages of the `origins` too; `*` stands for all, who then send no credentials
    that the browser holds."""

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("latin-1") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        allowing = self._allowing(headers.get(b"origin"))
        is_asked = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        if is_asked and len(allowing) > 1:
            await _preflight(send, allowing)
            return

        async def send_more(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowing]
            await send(message)

        await self._app(scope, receive, send_more)

    def _allowing(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """The headers of an answer to a page of this origin; without a right, Vary alone."""
        if origin is None or (b"*" not in self._origins and origin not in self._origins):
            return [_VARY]
        shown = (b"access-control-expose-headers", _SHOWN.encode())
        if b"*" in self._origins:
            return [_VARY, (b"access-control-allow-origin", b"*"), shown]
        return [_VARY, (b"access-control-allow-origin", origin), _TRUSTED, shown]


async def _preflight(send: Send, allowing: list[tuple[bytes, bytes]]) -> None:
    """What may be sent: https://fetch.spec.whatwg.org/#cors-preflight-request."""
    headers = [
        *allowing,
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", _SENT.encode()),
        (b"access-control-max-age", str(_MAX_AGE_S).encode()),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
