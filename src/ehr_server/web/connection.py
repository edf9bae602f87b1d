"""What a connection says that is no HTTP, and requests about the server as such.

uvicorn answers 400 to what it cannot parse the moment it sees it, also where a request before
that was whole and is being answered: then the 400 would be taken for its answer, though it may be
stored. https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2: a server "MUST send the corresponding
responses in the same order that the requests were received".
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ehr_server.call import FHIR_JSON
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of, operation_outcome

ASTERISK = "/*"


class Connection(HttpToolsProtocol):
    """One connection of uvicorn's; its name in `uvicorn.Config` is `http`."""

    def on_headers_complete(self) -> None:
        """`OPTIONS *` is about the server as such, and no address: RFC 9110, 9.3.7."""
        if self.url == b"*":
            self.url = ASTERISK.encode()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """What came is no HTTP: the last request that is whole is answered, and then the
        connection ends. A request that is broken itself gets the 400, in its turn."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._refuse()
        elif not cycle.more_body:
            cycle.keep_alive = False
        elif self.pipeline:  # it waits for those before it
            self.pipeline[0] = (cycle, _refusal)
        else:
            self._refuse()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        lines = [b"%s: %s\r\n" % header for header in _HEADERS]
        self.transport.write(b"".join([STATUS_LINE[400], *lines, b"\r\n", _BODY]))
        self.transport.close()


async def _refusal(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 400, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


_NO_HTTP = Invalid(
    "What was sent is not valid HTTP; nothing of it was stored.",
    vi="Dữ liệu gửi đến không phải HTTP hợp lệ; không có gì được lưu.",
)
_BODY = json.write(operation_outcome(issues_of(_NO_HTTP), "en"))
_HEADERS = [
    (b"content-type", FHIR_JSON.encode()),
    (b"content-length", str(len(_BODY)).encode()),
    (b"connection", b"close"),
]
