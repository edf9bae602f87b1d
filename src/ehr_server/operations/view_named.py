"""Which view an operation means: sent along, or kept here as a Library.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html#view-referenceresource-clarification.
ViewDefinition is no resource type of R4: a view is kept as the content of a Library, which is
canonical as it is (url, version, status), see docs/decisions/0025-views.md.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ehr_server.access.find import at_most
from ehr_server.errors import Invalid, NotFound, Unprocessable
from ehr_server.fhir import json, references
from ehr_server.operations.given import stored
from ehr_server.redact import without_numbers
from ehr_server.search.escapes import escape
from ehr_server.search.parse import parse
from ehr_server.store.connect import snapshot

if TYPE_CHECKING:
    from ehr_server.call import Call
    from ehr_server.fhir.parameters import Given

_KINDS = ("Library", "ViewDefinition")


def view_named(call: Call, sent: Given) -> dict[str, Any]:
    """The ViewDefinition of `viewResource` or `viewReference`, as JSON that is not checked yet.

    Raises `Invalid` where neither or both are given, `NotFound`, `Gone`, and `Unprocessable` for a
    Library that holds no view.
    """
    if ("viewResource" in sent) == ("viewReference" in sent):
        raise Invalid(
            "Send the view as viewResource, or name one that is kept here by viewReference.",
            vi="Hãy gửi khung nhìn trong viewResource, hoặc nêu khung nhìn đã lưu bằng "
            "viewReference.",
            expression=("viewResource", "viewReference"),
        )
    if "viewResource" in sent:
        found: dict[str, Any] = sent.one("viewResource")
        return found
    reference = sent.one("viewReference").get("reference")
    if not isinstance(reference, str):
        raise Invalid(
            "viewReference has a reference, such as Library/patients.",
            vi="viewReference phải có reference, ví dụ Library/patients.",
            expression=("viewReference",),
        )
    return view_of(_library(call, reference))


def view_of(library: dict[str, Any]) -> dict[str, Any]:
    """The ViewDefinition that is the content of a Library. Raises `Unprocessable` for none."""
    for attachment in library.get("content", ()):
        try:
            value = json.read(b64decode(attachment.get("data", ""), validate=True))
        except (Error, Invalid):
            continue
        if isinstance(value, dict) and value.get("resourceType") == "ViewDefinition":
            return value
    raise Unprocessable(
        "This Library holds no view: its content.data is a ViewDefinition as JSON, in base64.",
        vi="Library này không chứa khung nhìn: content.data phải là ViewDefinition dạng JSON, mã "
        "hóa base64.",
        expression=("Library.content.data",),
    )


def _library(call: Call, reference: str) -> dict[str, Any]:
    """By its address here, or by its url as a canonical."""
    found = references.parse(reference, call.base_url)
    if found.kind == "local" and found.type in _KINDS:
        return stored(replace(call, parts={"id": found.id or ""}), "Library")
    url, _, version = reference.partition("|")
    asked = [("url", escape(url)), *([("version", escape(version))] if version else [])]
    query = parse("Library", asked, replace(call.means.rules, base=""))
    with call.store.connection() as connection, snapshot(connection):
        libraries = at_most(call.store, connection, query, call.caller, 2)
    told = without_numbers(reference)
    if not libraries:
        raise NotFound(
            f"There is no view {told} here.",
            vi=f"Ở đây không có khung nhìn {told}.",
            expression=("viewReference",),
        )
    if len(libraries) > 1:
        raise Unprocessable(
            f"There are several views {told} here; name a version after |, or its Library.",
            vi=f"Có nhiều khung nhìn {told}; hãy nêu phiên bản sau dấu |, hoặc Library của nó.",
            expression=("viewReference",),
        )
    library: dict[str, Any] = json.read_stored(libraries[0].content)
    return library
