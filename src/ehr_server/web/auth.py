"""Beside the FHIR base: where programs get tokens, our keys, and what is told of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from ehr_server.admission.addresses import JWKS_PATH, TOKEN_PATH, beside
from ehr_server.admission.discovery import SmartConfiguration
from ehr_server.admission.fetch import is_loopback
from ehr_server.admission.token_endpoint import FORM, OAuthError, TokenAnswer, TokenEndpoint
from ehr_server.errors import Refusal
from ehr_server.fhir import json
from ehr_server.web import body as bodies
from ehr_server.web.negotiate import fields

if TYPE_CHECKING:
    from ehr_server.admission.admit import Admission
    from ehr_server.rest.dispatch import Dispatch

DISCOVERY = "/.well-known/smart-configuration"
FORM_BYTES_MAX = 65_536
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def add_auth(app: FastAPI, dispatch: Dispatch, admission: Admission, base_path: str) -> None:
    """Add the routes to the site whose FHIR base is at `base_path`."""
    settings = dispatch.settings
    endpoint = TokenEndpoint(dispatch.store, admission)
    configuration = SmartConfiguration(admission.issuers.values())

    @app.post(TOKEN_PATH, tags=["auth"], response_class=Response)
    async def token(request: Request) -> Response:
        """A token for a program that signs an assertion with its key: SMART Backend Services."""
        bases = _bases(request, settings.public_url, base_path)
        addresses = [beside(base, TOKEN_PATH) for base in bases]
        try:
            form = await _form(request)
            answer = await run_in_threadpool(endpoint.answer, form, addresses)
        except OAuthError as error:
            answer = error.answer
        except Refusal as refusal:
            answer = _refused(refusal)
        return _response(answer)

    @app.get(JWKS_PATH, tags=["auth"], response_class=Response)
    def jwks() -> Response:
        """The keys that tokens of our own are signed by."""
        try:
            return _response(
                TokenAnswer(200, admission.own.jwks(), {"Cache-Control": "max-age=300"})
            )
        except Refusal as refusal:
            return _response(_refused(refusal))

    @app.get(base_path + DISCOVERY, tags=["auth"], response_class=Response)
    def smart_configuration(request: Request) -> Response:
        """Where tokens are to be had, and which are taken."""
        base = settings.public_url or f"{request.base_url}".rstrip("/") + base_path
        return _response(TokenAnswer(200, configuration.at(base), {"Cache-Control": "no-cache"}))


def _bases(request: Request, public_url: str, base_path: str) -> list[str]:
    """What the FHIR base may be called in an assertion. Without the setting the header Host does
    not count, which anybody can write: the names of this machine alone do, at our own port."""
    if public_url:
        return [public_url]
    host, port = request.scope["server"]
    names = dict.fromkeys((*_LOOPBACK, *(() if is_loopback(host) else (host,))))
    return [f"{request.url.scheme}://{name}:{port}{base_path}" for name in names]


async def _form(request: Request) -> tuple[tuple[str, str], ...]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise OAuthError("invalid_request", f"The body is a form, as {FORM}.")
    read = await bodies.whole(request.headers, request.receive, FORM_BYTES_MAX)
    try:
        return fields(read.decode("ascii"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "The form is not encoded.") from None


def _refused(refusal: Refusal) -> TokenAnswer:
    """A refusal that is none of OAuth's, such as that the database is away."""
    is_ours = refusal.status >= 500
    error = "temporarily_unavailable" if is_ours else "invalid_request"
    told = {"error": error, "error_description": refusal.text or error}
    return TokenAnswer(refusal.status, told, {**TokenAnswer(0, {}).headers, **refusal.headers})


def _response(answer: TokenAnswer) -> Response:
    return Response(
        json.write(answer.body),
        answer.status,
        dict(answer.headers),
        "application/json",
    )
