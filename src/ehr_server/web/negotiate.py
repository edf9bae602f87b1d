"""Which format, said by the sender and agreed by us. https://hl7.org/fhir/R4/http.html#mime-type"""

from dataclasses import replace
from urllib.parse import parse_qsl

from ehr_server.call import FHIR_JSON, FHIR_XML, Answer, Request
from ehr_server.definitions.from_xml import from_xml
from ehr_server.definitions.to_xml import to_xml
from ehr_server.errors import Invalid, NotAcceptable, UnsupportedMediaType
from ehr_server.fhir import json
from ehr_server.fhir.media_types import chosen, content_type, understood, wished
from ehr_server.issue import Issue
from ehr_server.search.parse import is_criterion

FIELDS_MAX = 1000  # of an address or a form: ten million, which a form has room for, take 12 s

_JSON = ("application/fhir+json", "application/json", "text/json")
_XML = ("application/fhir+xml", "application/xml", "text/xml")
_SHORT = {"json": _JSON[0], "xml": _XML[0]}
_FORM = "application/x-www-form-urlencoded"
# Who fetches files may say so in every request, also when asking how far they are.
_FILES = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
_ONCE = ("_format", "_pretty", "_summary", "_elements", "_count", "_since", "_page")
_SERVED = (*_JSON, *_XML, *_FILES)


def acceptable(request: Request) -> None:
    """Raises `NotAcceptable` when the sender wants only what we cannot write.

    https://hl7.org/fhir/R4/http.html#mime-type
    """
    if _chosen(request) is None:
        raise NotAcceptable(
            f"Only JSON and XML of FHIR 4.0 are served: {_JSON[0]}, {_XML[0]}.",
            vi=f"Chỉ phục vụ JSON và XML của FHIR 4.0: {_JSON[0]}, {_XML[0]}.",
        )


def asked_once(request: Request) -> None:
    """Raises `Invalid` where what shapes the answer is asked for twice: of two formats one would be
    ignored, and who checks requests on their way may have gone by that one."""
    for name in _ONCE:
        if sum(one == name for one, _ in request.query) > 1:
            raise Invalid(
                f"The parameter {name} comes more than once; send it once.",
                vi=f"Tham số {name} xuất hiện nhiều lần; xin chỉ gửi một lần.",
                expression=(name,),
            )


def is_table(path: tuple[str, ...]) -> bool:
    """Whether rows of a view are asked for, which come as CSV, NDJSON, JSON or Parquet."""
    return path[-1:] in (("$viewdefinition-run",), ("$run",))


def is_file(path: tuple[str, ...]) -> bool:
    """Whether a file that a manifest lists is asked for: it comes as it was made."""
    return len(path) == 3 and path[0] in ("$export-status", "$import-status")


def _chosen(request: Request) -> str | None:
    """The type to answer in; JSON where it is wished for as much as XML."""
    format_ = dict(request.query).get("_format", "")
    wishes = wished(request.headers.get("accept", ""), _SHORT.get(format_, format_))
    return chosen(wishes, _SERVED)


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
    """The request with the parameters of a posted form moved to its query, and with JSON in the
    place of XML.

    Raises `UnsupportedMediaType` for a body in another format than JSON and XML (or a form, for a
    search), in another charset or of another version of FHIR, `Invalid` for what is not well
    formed. What a patch may be, its deed knows.
    """
    if not request.body or request.method not in ("POST", "PUT", "PATCH"):
        return request
    header = request.headers.get("content-type", "")
    understood(header)
    kind = content_type(header).name
    if request.path[-1:] == ("_search",):
        return _searched(request, kind)
    if kind in _XML:
        return _of_xml(request)
    if kind and kind not in _JSON and request.method != "PATCH":
        raise _not_understood(kind, f"{_JSON[0]}, {_XML[0]}")
    return request


def _searched(request: Request, kind: str) -> Request:
    if kind not in (_FORM, ""):  # criteria left out would find everyone
        raise _not_understood(kind, _FORM)
    try:
        text = request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_utf8() from None
    sent = fields(text)
    private = tuple(pair for pair in sent if is_criterion(pair[0]))
    return replace(request, query=(*request.query, *sent), private=private, body=b"")


def _of_xml(request: Request) -> Request:
    """As if it had come in JSON. What is stored as a Binary and is none itself stays as it is."""
    try:
        resource = from_xml(request.body, request.depth_max)
    except Invalid:
        if request.path[:1] == ("Binary",):
            return request
        raise
    if request.path[:1] == ("Binary",) and resource["resourceType"] != "Binary":
        return request
    headers = {**request.headers, "content-type": _JSON[0]}
    return replace(request, body=json.write(resource), headers=headers)


def _not_understood(kind: str, wanted: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"A body in {kind} is not understood here; send {wanted}.",
        vi=f"Không hiểu nội dung dạng {kind} ở đây; xin gửi {wanted}.",
    )


def styled(request: Request, answer: Answer) -> Answer:
    """The answer in XML where that is wished for, with line breaks where `_pretty=true` asks for
    them. What is not a resource, such as a file, stays as it is."""
    body = answer.body
    if not isinstance(body, bytes) or answer.content_type != FHIR_JSON:
        return answer
    is_pretty = dict(request.query).get("_pretty") == "true"
    if _chosen(request) in _XML:
        document = to_xml(json.read_stored(body), is_pretty=is_pretty)
        return replace(answer, body=document, content_type=FHIR_XML)
    return replace(answer, body=json.write_pretty(json.read_stored(body))) if is_pretty else answer


def _not_utf8() -> Invalid:
    return Invalid("The parameters are not UTF-8.", vi="Tham số không phải UTF-8.")


_TOO_MANY = Issue(
    "error",
    "too-costly",
    f"A request takes at most {FIELDS_MAX} parameters.",
    vi=f"Mỗi yêu cầu tối đa {FIELDS_MAX} tham số.",
)
