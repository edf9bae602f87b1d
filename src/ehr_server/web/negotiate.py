"""Which format, said by the sender and agreed by us. https://hl7.org/fhir/R4/http.html#mime-type"""

from dataclasses import replace
from urllib.parse import parse_qsl

from ehr_server.call import FHIR_JSON, Answer, Request
from ehr_server.errors import Invalid, NotAcceptable, UnsupportedMediaType
from ehr_server.fhir import json
from ehr_server.issue import Issue

FIELDS_MAX = 1000  # of an address or a form: ten million, which a form has room for, take 12 s

_JSON = {"application/fhir+json", "application/json", "text/json", "json"}
_ANY = {"", "*/*", "application/*"}
_FORM = "application/x-www-form-urlencoded"
# Files are asked for in their own type; whether they are there, the deed knows.
_FILES = {"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"}


def acceptable(request: Request) -> None:
    """Raises `NotAcceptable` when the sender wants only what we cannot write: JSON alone is
    served so far.
    """
    wished = dict(request.query).get("_format")
    names = [wished] if wished else request.headers.get("accept", "").split(",")
    kinds = [name.partition(";")[0].strip().lower().replace(" ", "+") for name in names]
    if not any(kind in _JSON or kind in _ANY or kind in _FILES for kind in kinds):
        raise NotAcceptable(
            "Only JSON is served: application/fhir+json.",
            vi="Chỉ phục vụ JSON: application/fhir+json.",
        )


def fields(text: str) -> tuple[tuple[str, str], ...]:
    """The names and values of an address or a form, decoded: `name=ng%E1%BB%8Dp&_count=5`.

    Raises `Invalid` for more than `FIELDS_MAX`, and for bytes that are no UTF-8, which would be
    searched for as something else.
    """
    if text.count("&") >= FIELDS_MAX:
        raise Invalid(issues=[_TOO_MANY])
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict")) if text else ()
    except UnicodeDecodeError:
        raise _not_utf8() from None


def form(request: Request) -> Request:
    """The request with the parameters of a posted form moved to its query.

    Raises `UnsupportedMediaType` for a body in another format than JSON (or a form, for a
    search), `Invalid` for a form that is not UTF-8.
    """
    if not request.body or request.method not in ("POST", "PUT"):
        return request
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.path[-1:] == ("_search",) and kind in (_FORM, ""):
        try:
            text = request.body.decode("utf-8")
        except UnicodeDecodeError:
            raise _not_utf8() from None
        return replace(request, query=(*request.query, *fields(text)), body=b"")
    wanted = _FORM if request.path[-1:] == ("_search",) else "application/fhir+json"
    if (kind and kind not in _JSON) or wanted == _FORM:  # criteria left out would find everyone
        raise UnsupportedMediaType(
            f"A body in {kind} is not understood here; send {wanted}.",
            vi=f"Không hiểu nội dung dạng {kind} ở đây; xin gửi {wanted}.",
        )
    return request


def styled(request: Request, answer: Answer) -> Answer:
    """The answer with line breaks where `_pretty=true` asks for them."""
    body, is_json = answer.body, answer.content_type == FHIR_JSON
    if isinstance(body, bytes) and is_json and dict(request.query).get("_pretty") == "true":
        return replace(answer, body=json.write_pretty(json.read_stored(body)))
    return answer


def _not_utf8() -> Invalid:
    return Invalid("The parameters are not UTF-8.", vi="Tham số không phải UTF-8.")


_TOO_MANY = Issue(
    "error",
    "too-costly",
    f"A request takes at most {FIELDS_MAX} parameters.",
    vi=f"Mỗi yêu cầu tối đa {FIELDS_MAX} tham số.",
)
