"""A provider of OpenID over a real socket: discovery, keys and their rotation; it may be away.

https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from api.tokens import AUDIENCE, signed
from ehr_server.admission.own import new_key, public

REALM = "/realms/health"


class Provider:
    """What it publishes, and how often it was asked; `keys` are private JWKs, the first signs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.keys = [new_key()]
        self.asked: Counter[str] = Counter()
        self.says: dict[str, Any] = {}  # in the place of what its discovery document would

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}{REALM}"

    def token(self, **claims: Any) -> str:
        """An access token as Keycloak makes one: `azp`, `scope`, several audiences."""
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": ["account", AUDIENCE], "sub": "f:1:lan", "azp": "app"}
        times = {"iat": now, "exp": now + 300, "typ": "Bearer"}
        may = {"ehr_policy": "everything", "scope": "system/*.cruds"}
        return signed({**usual, **times, **may, **claims}, self.keys[0])

    def answer(self, path: str) -> object | None:
        """What is at a path; None for nothing."""
        self.asked[path] += 1
        if path == f"{REALM}/.well-known/openid-configuration":
            place = f"{self.issuer}/protocol/openid-connect"
            told = {
                "issuer": self.issuer,
                "jwks_uri": f"{place}/certs",
                "authorization_endpoint": f"{place}/auth",
                "token_endpoint": f"{place}/token",
            }
            return told | self.says
        if path == f"{REALM}/protocol/openid-connect/certs":
            unknown = {"kty": "new", "use": "sig"}
            encrypting = {**public(new_key()), "use": "enc"}
            return {
                "keys": [unknown, encrypting, *({**public(k), "use": "sig"} for k in self.keys)]
            }
        return None


@contextmanager
def providing(provider: Provider | None = None) -> Iterator[Provider]:
    """A provider for as long as the block, or one that was there before once more."""
    made = provider

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = None if made is None else made.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("localhost", 0 if made is None else made.port), Answering)
    made = made or Provider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
