"""The whole site: the FHIR base, and beside it health, documentation and the home page.

FastAPI serves everything but the FHIR base, which is one raw ASGI app in front of it, so that
`/fhir` is served with and without a slash and never redirected.
"""

from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse

import ehr_server
from ehr_server.call import Route
from ehr_server.rest.dispatch import Dispatch
from ehr_server.web.connection import ASTERISK
from ehr_server.web.cors import METHODS
from ehr_server.web.fhir_endpoint import FhirEndpoint, Receive, Scope, Send

BASE_PATH = "/fhir"

_HOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>ehr-server</title>
<style>body{font:16px/1.6 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>
<h1>ehr-server</h1>
<p>A FHIR R4 server for lifelong personal health records.</p>
<ul><li>FHIR base: <a href="/fhir/metadata">/fhir</a></li>
<li><a href="/docs">Addresses and methods</a></li>
<li><a href="/health/ready">Health</a></li></ul></html>
"""


class Site:
    """The ASGI app that uvicorn runs."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._fhir = FhirEndpoint(dispatch, threads=dispatch.settings.pool_size)
        self._rest = _beside(dispatch)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope.get("path", ""), scope.get("method")
        if scope["type"] == "http" and (path == BASE_PATH or path.startswith(f"{BASE_PATH}/")):
            await self._fhir({**scope, "root_path": BASE_PATH}, receive, send)
        elif method == "OPTIONS" and path == ASTERISK:
            headers = [(b"allow", METHODS.encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:  # of an answer to HEAD, uvicorn sends no body
            shown = {**scope, "method": "GET"} if method == "HEAD" else scope
            await self._rest(shown, receive, send)


def _beside(dispatch: Dispatch) -> FastAPI:
    app = FastAPI(title="ehr-server", version=ehr_server.__version__, redoc_url=None)

    @app.get("/health/live", tags=["health"])
    def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @app.get("/health/ready", tags=["health"])
    def ready(response: Response) -> dict[str, str]:
        """The database answers too."""
        if dispatch.store.is_there():
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "database away"}

    @app.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        return HTMLResponse(_HOME)

    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        for route in dispatch.table.rows():
            path = f"{BASE_PATH}/{route.pattern}".rstrip("/")
            schema["paths"].setdefault(path, {})[route.method.lower()] = _described(route)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _described(route: Route) -> dict[str, Any]:
    names = [part[1:-1] for part in route.pattern.split("/") if part.startswith("{")]
    return {
        "tags": ["FHIR"],
        "summary": (route.deed.__doc__ or route.interaction).partition("\n")[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {"default": {"description": "A FHIR resource, or an OperationOutcome"}},
    }
