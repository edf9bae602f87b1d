"""Every way a request can be refused.

    Refusal
    ├── Invalid 400              the request cannot be understood
    ├── Unauthorized 401         who are you?
    ├── Forbidden 403            you may not
    ├── NotFound 404             there is no such thing
    ├── NotAllowed 405           not by this method
    ├── NotAcceptable 406        not in that format
    ├── RequestTimeout 408       the body stopped coming
    ├── Conflict 409             someone else was first
    │   └── Overtaken            at this very moment: run again, and it may well be done
    ├── Gone 410                 it was deleted
    ├── PreconditionFailed 412   If-Match, or criteria that match several
    ├── TooLarge 413             over a limit of the settings
    ├── UnsupportedMediaType 415
    ├── Unprocessable 422        understood, but breaks a rule of FHIR
    ├── TooManyRequests 429
    ├── NotSupported 501
    └── Unavailable 503          try again later

A refusal is raised with what to tell the sender: issues that are ready, or one text. The status
and the default issue code are those of https://hl7.org/fhir/R4/http.html#Status-Codes. Findings
about a resource are not exceptions but values, `ehr_server.issue.Issue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ehr_server.issue import Issue


class Refusal(Exception):
    """A request is refused: `issues` if given, else one issue of `text` (English) and `vi`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        text: str = "",
        *,
        vi: str | None = None,
        expression: Sequence[str] = (),
        issues: Sequence[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text or (issues[0].text if issues else type(self).__name__))
        self.text = text
        self.vi = vi
        self.expression = tuple(expression)
        self.issues = tuple(issues)
        self.headers = dict(headers or {})


class Invalid(Refusal):
    status = 400
    code = "invalid"


class Unauthorized(Refusal):
    status = 401
    code = "login"


class Forbidden(Refusal):
    status = 403
    code = "forbidden"


class NotFound(Refusal):
    status = 404
    code = "not-found"


class NotAllowed(Refusal):
    status = 405
    code = "not-supported"


class NotAcceptable(Refusal):
    status = 406
    code = "not-supported"


class RequestTimeout(Refusal):
    status = 408
    code = "timeout"


class Conflict(Refusal):
    status = 409
    code = "conflict"


class Overtaken(Conflict):
    """Nothing was stored, since another request was first: the deed may be run again."""


class Gone(Refusal):
    status = 410
    code = "deleted"


class PreconditionFailed(Refusal):
    status = 412
    code = "conflict"


class TooLarge(Refusal):
    status = 413
    code = "too-long"


class UnsupportedMediaType(Refusal):
    status = 415
    code = "not-supported"


class Unprocessable(Refusal):
    status = 422
    code = "processing"


class TooManyRequests(Refusal):
    status = 429
    code = "throttled"


class NotSupported(Refusal):
    status = 501
    code = "not-supported"


class Unavailable(Refusal):
    status = 503
    code = "transient"
