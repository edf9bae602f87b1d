"""$validate: what would be said of a resource, without storing it.

https://hl7.org/fhir/R4/resource-operation-validate.html. Asked and answered is 200, whatever is
found; what cannot be asked, such as a profile that is not loaded, is refused: a server that cannot
check against it SHALL return an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.access.seen import readable
from ehr_server.call import Answer, Call, Route
from ehr_server.changes.search_parameters import TYPE
from ehr_server.definitions import definitions
from ehr_server.definitions.profile import ProfileError
from ehr_server.errors import Invalid, NotFound, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.fhir.parameters import Known
from ehr_server.issue import Issue
from ehr_server.operations.given import asked, posted, stored
from ehr_server.redact import id_without_number
from ehr_server.search import added

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Catalog
    from ehr_server.validation.rulebook import Rulebook

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
_KNOWN = {
    "resource": Known("Resource"),
    "mode": Known("code"),
    "profile": Known("uri", is_list=True),
}
_MODES = ("create", "update", "delete", "profile")
_TYPES = "http://hl7.org/fhir/StructureDefinition/"
_URL_MAX = 200  # characters of a canonical that are repeated to its sender


@dataclass(frozen=True, slots=True)
class _Wanted:
    resource: dict[str, Any] | None = None
    mode: str = ""
    profiles: tuple[str, ...] = ()


def validate(call: Call) -> Answer:
    """200 with an OperationOutcome: at most 100 issues, the worst first.

    The modes create and update say what these interactions would say of the resource itself,
    delete whether there is something to delete; without a resource what is stored is looked at.
    Raises `NotFound` for a profile that is not loaded, or a resource that is not there.
    """
    wanted = _wanted(call)
    if wanted.mode == "delete":
        found = [_deletion(call)]
    else:
        _check_profiles(call.means.rulebook, wanted.profiles)
        resource = wanted.resource
        if resource is None:
            resource = stored(call, call.parts["type"])
        found = list(_findings(call, wanted, resource))
    return Answer(200, json.write(operation_outcome(found or [_NOTHING], call.language)))


def unknown_claims(catalog: Catalog, resource: Any, where: str) -> Iterator[Issue]:
    """Profiles that the resource, or one in it, claims and that are not loaded."""
    if isinstance(resource, list):
        for at, one in enumerate(resource):
            yield from unknown_claims(catalog, one, f"{where}[{at}]")
    if not isinstance(resource, dict):
        return
    meta = resource.get("meta") if "resourceType" in resource else None
    claims = meta.get("profile") if isinstance(meta, dict) else None
    for at, url in enumerate(claims if isinstance(claims, list) else ()):
        if isinstance(url, str) and catalog.find("StructureDefinition", url) is None:
            yield Issue(
                "information",
                "not-found",
                f"The profile {url[:_URL_MAX]} is not loaded here, so it is not checked.",
                (f"{where}.meta.profile[{at}]",),
                f"Hồ sơ {url[:_URL_MAX]} chưa được nạp nên không được kiểm tra.",
                "profile-not-loaded",
            )
    for name, value in resource.items():
        if isinstance(value, dict | list):
            yield from unknown_claims(catalog, value, f"{where}.{name}")


def _wanted(call: Call) -> _Wanted:
    body = posted(call)
    is_body_meant = body is not None and _is_of_operation(call, body)
    sent = asked(call, _KNOWN, is_body_meant=is_body_meant)
    resource = sent.one("resource") if is_body_meant else body
    wanted = _Wanted(resource, sent.one("mode", ""), tuple(sent.all("profile")))
    _check(call, wanted)
    return wanted


def _is_of_operation(call: Call, sent: dict[str, Any]) -> bool:
    """Whether Parameters are those of the operation, and not the resource to be looked at."""
    if sent.get("resourceType") != "Parameters":
        return False
    if call.parts["type"] != "Parameters":
        return True
    several = sent.get("parameter")
    return isinstance(several, list) and any(
        isinstance(one, dict) and one.get("name") == "resource" for one in several
    )


def _check(call: Call, wanted: _Wanted) -> None:
    if wanted.mode and wanted.mode not in _MODES:
        raise Invalid(
            f"mode is one of {', '.join(_MODES)}.",
            vi=f"mode là một trong: {', '.join(_MODES)}.",
        )
    if wanted.mode == "delete" and "id" not in call.parts:
        raise Invalid(
            "The mode delete is asked of a resource that is stored: TYPE/ID/$validate.",
            vi="Chế độ delete hỏi về một tài nguyên đã lưu: TYPE/ID/$validate.",
        )
    if wanted.mode == "profile" and not wanted.profiles:
        raise Invalid(
            "The mode profile needs the parameter profile.",
            vi="Chế độ profile cần có tham số profile.",
        )
    is_of_stored = "id" in call.parts and wanted.mode not in ("create", "update")
    if wanted.resource is None and not is_of_stored:
        raise Invalid(
            "There is no resource to validate: send it, or Parameters with it as resource.",
            vi="Không có tài nguyên để kiểm tra: hãy gửi tài nguyên, hoặc Parameters chứa nó.",
        )


def _check_profiles(rulebook: Rulebook, profiles: Sequence[str]) -> None:
    for url in profiles:
        if _is_type(url):
            continue
        try:
            held = rulebook.exact(url)
        except ProfileError as error:
            raise Unprocessable(str(error), vi=error.vi or str(error)) from error
        if held is None:
            raise NotFound(
                f"The profile {url[:_URL_MAX]} is not loaded here; load the package that defines "
                "it: ehr-server load-package FILE.tgz.",
                vi=f"Hồ sơ {url[:_URL_MAX]} chưa được nạp; hãy nạp gói định nghĩa nó: "
                "ehr-server load-package FILE.tgz.",
            )


def _is_type(url: str) -> bool:
    """Whether the profile is a type of the standard itself, which is always asked."""
    return url.removeprefix(_TYPES) in definitions().type_number


def _findings(call: Call, wanted: _Wanted, resource: dict[str, Any]) -> Iterator[Issue]:
    rulebook, type_name = call.means.rulebook, call.parts["type"]
    found = rulebook.check(resource, type_name, profiles=wanted.profiles)
    yield from found
    if type_name == TYPE and not any(one.severity in ("error", "fatal") for one in found):
        yield from added.faults(resource)
    if wanted.mode == "update":
        yield from _about_id(call, resource)
    if resource.get("resourceType") in definitions().type_number:
        yield from unknown_claims(rulebook.catalog, resource, str(resource["resourceType"]))


def _about_id(call: Call, resource: dict[str, Any]) -> Iterator[Issue]:
    """An update needs the id of its address: https://hl7.org/fhir/R4/http.html#update."""
    id_, wanted = resource.get("id"), call.parts.get("id")
    if id_ is None or wanted not in (None, id_):
        text, vi = "An update needs the id in the body", "Cập nhật cần id trong nội dung"
        if wanted is not None:
            text += f", that of the address, {wanted}"
            vi += f", trùng với id trong địa chỉ, {wanted}"
        yield Issue("error", "value", f"{text}.", (f"{call.parts['type']}.id",), f"{vi}.", "id")


def _deletion(call: Call) -> Issue:
    type_name, id_ = call.parts["type"], call.parts["id"]
    told = f"{type_name}/{id_without_number(id_)}"
    with call.store.connection() as connection:
        lies = readable(call.store, connection, call.caller, type_name, id_)
    if lies is None:
        text, vi = f"There is no {told}", f"Không có {told}"
        return Issue("information", "not-found", f"{text}: a delete changes nothing.", (),
                     f"{vi}: xóa không thay đổi gì.")  # fmt: skip
    if not lies.live:
        return Issue("information", "deleted",
                     f"{told} was deleted: a delete changes nothing.", (),
                     f"{told} đã bị xóa: xóa nữa không thay đổi gì.")  # fmt: skip
    return Issue(
        "information",
        "informational",
        f"{told} is there and can be deleted; its history is kept. References to it "
        "are not looked for: they would lead to nothing.",
        vi=f"{told} tồn tại và có thể xóa; lịch sử được giữ. Các tham chiếu tới nó "
        "không được tìm: chúng sẽ không dẫn tới đâu.",
    )


_NOTHING = Issue(
    "information",
    "informational",
    "Nothing is wrong with it.",
    vi="Không phát hiện lỗi nào.",
)

ROUTES = (
    Route(_DEFINITION, "POST", "{type}/$validate", validate),
    Route(_DEFINITION, "POST", "{type}/{id}/$validate", validate),
    Route(_DEFINITION, "GET", "{type}/{id}/$validate", validate),
)
