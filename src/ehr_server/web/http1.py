"""HTTP/1.1 on a connection, where uvicorn's reading of it is not the standard's.

uvicorn answers 400 to what it cannot parse the moment it sees it, also where a request before
that was whole and is being answered: then the 400 would be taken for its answer, though it may be
stored. And it drops the body of a request that offers to go on in HTTP/2, which Java's own client
does unless told otherwise.
"""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ehr_server.call import FHIR_JSON
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of, operation_outcome

ASTERISK = "/*"

_CONNECT = b"CONNECT"  # what follows is no HTTP


class Http1(HttpToolsProtocol):
    """What uvicorn reads of a connection, and what it answers to what is no HTTP."""

    def data_received(self, data: bytes) -> None:
        """What came is parsed. An offer of another protocol is not taken up: RFC 9110, 7.8, a
        server "MAY ignore a received Upgrade header field"."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offered:
                if self._is_tunnel():
                    self._end()
                    return
                data = self._without_offer() + data[offered.args[0] :]
            except httptools.HttpParserError:
                self._end()
                return

    def on_headers_complete(self) -> None:
        """A request begins, unless it comes once more, without the offer."""
        if self._is_offer() or self._is_tunnel():
            return
        if self.url == b"*":  # `OPTIONS *`, about the server as such: RFC 9110, 9.3.7
            self.url = ASTERISK.encode()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._is_offer() and not self._is_tunnel():
            super().on_message_complete()

    def _is_offer(self) -> bool:
        return self.parser.should_upgrade() and not self._is_tunnel()

    def _is_tunnel(self) -> bool:
        """Whether it is asked to be a proxy, which it is not: RFC 9110, 9.3.6."""
        return bool(self.parser.get_method() == _CONNECT)

    def _without_offer(self) -> bytes:
        """The head of the request that was just read, and a parser that has not read it yet."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        return b"\r\n".join([*lines, b"", b""])

    def _end(self) -> None:
        """What came is no HTTP: the last request that is whole is answered, and then the
        connection ends. A request that is broken itself gets a 400, in its turn.

        https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2: a server "MUST send the corresponding
        responses in the same order that the requests were received".
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._refuse()
        elif not cycle.more_body:
            cycle.keep_alive = False
        elif self.pipeline:
            self.pipeline[0] = (cycle, _refusal)
        else:
            self._refuse()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
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
