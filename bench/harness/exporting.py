"""An export over HTTP: kicked off and waited for."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from harness.client import Refused

if TYPE_CHECKING:
    from harness.server import Server

_ASK_AGAIN_S = 0.02


def manifest(server: Server) -> Any:
    """The manifest of `$export` of everything, once it is there. Raises `Refused`."""
    headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
    with closing(http.client.HTTPConnection(*server.address)) as link:
        link.request("GET", "/fhir/$export", headers=headers)
        answer = link.getresponse()
        answer.read()
        status = path(str(answer.headers["Content-Location"]))
        while True:
            link.request("GET", status, headers={"Accept": "application/json"})
            answer = link.getresponse()
            body = answer.read()
            if answer.status == 200:
                return json.read_own(body)
            if answer.status != 202:
                raise Refused(body.decode())
            time.sleep(_ASK_AGAIN_S)


def path(url: str) -> str:
    """What a request for the address names."""
    return "/" + url.split("/", 3)[3]
