"""patch: a new version by telling what is to change. https://hl7.org/fhir/R4/http.html#patch

By its Content-Type a patch is a JSON Patch, a FHIRPath Patch or a JSON to merge. In a Bundle it is
the resource of the entry: Parameters, or a Binary that holds a JSON Patch.
"""

import base64
from typing import Any

from ehr_server.call import Answer, Call, Request, version_in
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change
from ehr_server.errors import Invalid, UnsupportedMediaType
from ehr_server.fhir import json
from ehr_server.fhir.patch import Patch, json_patch, merge_patch
from ehr_server.fhirpath.patch import fhirpath_patch
from ehr_server.interactions.pushed import push
from ehr_server.interactions.written import criteria_of, wishes_review, written

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FORMATS = (JSON_PATCH, "application/fhir+json", MERGE_PATCH, "application/json")


def patch(call: Call) -> Answer:
    """200 with the new version, or with the one there is where the patch changes nothing."""
    (done,) = apply(call.means, [change(call)], push=push(call, is_json=True))
    return written(call, done)


def change(call: Call) -> Change:
    """The intended patch, of the resource that the address names or the criteria mean."""
    request, type_name = call.request, call.parts["type"]
    return Change(
        "patch",
        type_name,
        call.parts.get("id"),
        where=request.where or type_name,
        if_match=version_in(request.headers.get("if-match"), "If-Match"),
        criteria=None if "id" in call.parts else criteria_of(call),
        patch=_patch(request),
        is_reviewed=wishes_review(request),
    )


def _patch(request: Request) -> Patch:
    if request.resource is not None:
        return _of_entry(request.resource, request.where)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORMATS:
        raise UnsupportedMediaType(
            f"A patch in {kind or 'no format'} is not understood; send {', '.join(FORMATS)}.",
            vi=f"Không hiểu bản vá dạng {kind or 'không rõ'}; hãy gửi {', '.join(FORMATS)}.",
            headers={"Accept-Patch": ", ".join(FORMATS)},
        )
    return _of_json(kind, json.read(request.body, request.depth_max) if request.body else None)


def _of_json(kind: str, value: Any) -> Patch:
    if kind == JSON_PATCH or (kind == "application/json" and isinstance(value, list)):
        return json_patch(value)
    if not isinstance(value, dict):
        raise Invalid(
            f"A patch in {kind} is a JSON object.", vi=f"Bản vá dạng {kind} là đối tượng JSON."
        )
    is_parameters = kind != MERGE_PATCH and value.get("resourceType") == "Parameters"
    if is_parameters or kind == "application/fhir+json":
        return fhirpath_patch(value)
    return merge_patch(value)


def _of_entry(resource: dict[str, Any], where: str) -> Patch:
    """https://hl7.org/fhir/R4/http.html#patch: a JSON Patch is wrapped in a Binary."""
    if resource.get("resourceType") == "Parameters":
        return fhirpath_patch(resource)
    kind, data = resource.get("contentType"), resource.get("data")
    if resource.get("resourceType") != "Binary" or kind not in (JSON_PATCH, MERGE_PATCH):
        raise Invalid(
            f"The patch of an entry is a Parameters resource, or a Binary in {JSON_PATCH}.",
            vi=f"Bản vá trong mục là tài nguyên Parameters, hoặc Binary dạng {JSON_PATCH}.",
            expression=(where,),
        )
    try:
        content = base64.b64decode(str(data), validate=True)
    except ValueError:
        raise Invalid(
            "The data of the Binary is not base64.",
            vi="Nội dung data của Binary không phải base64.",
            expression=(f"{where}.data",),
        ) from None
    return _of_json(kind, json.read(content))
