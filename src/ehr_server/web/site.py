"""The whole site: the FHIR base, and beside it health, documentation and the home page.

FastAPI serves everything but the FHIR base, which is one raw ASGI app in front of it, so that
`/fhir` is served with and without a slash and never redirected.
"""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

import ehr_server
from ehr_server.admission.admit import Admission
from ehr_server.call import Route
from ehr_server.rest.dispatch import Dispatch
from ehr_server.web.auth import DISCOVERY, add_auth
from ehr_server.web.cors import METHODS
from ehr_server.web.fhir_endpoint import FhirEndpoint, Receive, Scope, Send
from ehr_server.web.http1 import ASTERISK
from ehr_server.web.metrics import CONTENT_TYPE, App, Counted, exposition
from ehr_server.web.pages.home import HEADERS, page, state

BASE_PATH = "/fhir"


class Site:
    """The ASGI app that uvicorn runs."""

    def __init__(self, dispatch: Dispatch) -> None:
        admission = Admission(dispatch.store, dispatch.settings)
        self._fhir: App = FhirEndpoint(dispatch, admission, threads=dispatch.settings.pool_size)
        if not dispatch.settings.no_metrics:
            self._fhir = Counted(self._fhir, dispatch.table, BASE_PATH)
        self._rest = _beside(dispatch, admission)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope.get("path", ""), scope.get("method")
        is_below = path == BASE_PATH or path.startswith(f"{BASE_PATH}/")
        if scope["type"] == "http" and is_below and path != BASE_PATH + DISCOVERY:
            await self._fhir({**scope, "root_path": BASE_PATH}, receive, send)
        elif method == "OPTIONS" and path == ASTERISK:
            headers = [(b"allow", METHODS.encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:  # of an answer to HEAD, uvicorn sends no body
            shown = {**scope, "method": "GET"} if method == "HEAD" else scope
            await self._rest(shown, receive, send)


def _beside(dispatch: Dispatch, admission: Admission) -> FastAPI:
    settings = dispatch.settings
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

    if not settings.no_metrics:

        @app.get("/metrics", tags=["health"])
        def metrics() -> Response:
            """What is counted, in the text format of Prometheus."""
            return Response(exposition(dispatch.store), media_type=CONTENT_TYPE)

    @app.get("/", include_in_schema=False)
    def home(request: Request) -> HTMLResponse:
        found = state(dispatch.store)
        base_url = settings.public_url or f"{request.base_url}".rstrip("/") + BASE_PATH
        spoken = request.headers.get("accept-language", "")
        return HTMLResponse(page(settings, found, base_url, spoken), headers=HEADERS)

    add_auth(app, dispatch, admission, BASE_PATH)
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
