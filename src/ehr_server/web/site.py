"""The whole site: the FHIR base, and beside it health, documentation and the home page.

FastAPI serves everything but the FHIR base, which is one raw ASGI app in front of it, so that
`/fhir` is served with and without a slash and never redirected.
"""

from ipaddress import ip_network
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

import ehr_server
from ehr_server.admission.admit import Admission
from ehr_server.call import Request as Asked
from ehr_server.call import Route
from ehr_server.rest.dispatch import Dispatch
from ehr_server.settings import Settings
from ehr_server.web.auth import DISCOVERY, add_auth
from ehr_server.web.cors import METHODS
from ehr_server.web.fhir_endpoint import FhirEndpoint, Receive, Scope, Send
from ehr_server.web.hops import is_within
from ehr_server.web.http1 import ASTERISK
from ehr_server.web.metrics import CONTENT_TYPE, App, Counted, exposition
from ehr_server.web.pages.docs import page as docs_page
from ehr_server.web.pages.docs import summary
from ehr_server.web.pages.home import page, state
from ehr_server.web.pages.style import HEADERS

BASE_PATH = "/fhir"

_THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1"))
_NOT_A_READER = "The setting metrics_readers names the addresses that may read this."


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
    app = FastAPI(title="ehr-server", version=ehr_server.__version__, docs_url=None, redoc_url=None)

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
        def metrics(request: Request) -> Response:
            """What is counted, in the text format of Prometheus, for those who may see it."""
            if not _may_look(request, settings):
                return JSONResponse({"detail": _NOT_A_READER}, 403)
            return Response(exposition(dispatch.store), media_type=CONTENT_TYPE)

    add_auth(app, dispatch, admission, BASE_PATH)
    _pages(app, dispatch)
    _described_whole(app, dispatch)
    return app


def _pages(app: FastAPI, dispatch: Dispatch) -> None:
    """The pages for people, in the language that their browser asks for."""
    settings = dispatch.settings

    def base_url(request: Request) -> str:
        return settings.public_url or f"{request.base_url}".rstrip("/") + BASE_PATH

    @app.get("/", include_in_schema=False)
    def home(request: Request) -> HTMLResponse:
        found = state(dispatch.store) if _may_look(request, settings) else None
        spoken = request.headers.get("accept-language", "")
        return HTMLResponse(page(settings, found, base_url(request), spoken), headers=HEADERS)

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        spoken = {"accept-language": request.headers.get("accept-language", "")}
        language = Asked("GET", (), headers=spoken).language(settings.language)
        shown = docs_page(dispatch.table.rows(), base_url(request), language)
        return HTMLResponse(shown, headers=HEADERS)


def _may_look(request: Request, settings: Settings) -> bool:
    """Whether the request comes from this machine, or from where the setting allows it."""
    address = request.client.host if request.client else ""
    return is_within(address, _THIS_MACHINE + settings.readers)


def _described_whole(app: FastAPI, dispatch: Dispatch) -> None:
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()
        for route in dispatch.table.rows():
            path = f"{BASE_PATH}/{route.pattern}".rstrip("/")
            schema["paths"].setdefault(path, {})[route.method.lower()] = _described(route)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(route: Route) -> dict[str, Any]:
    names = [part[1:-1] for part in route.pattern.split("/") if part.startswith("{")]
    return {
        "tags": ["FHIR"],
        "summary": summary(route),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ],
        "responses": {"default": {"description": "A FHIR resource, or an OperationOutcome"}},
    }
