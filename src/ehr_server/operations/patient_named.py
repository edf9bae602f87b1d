"""Which Patient a parameter names: by a reference, by identifiers, or by both.

https://hl7.org/fhir/R5/patient-operation-merge.html: of identifiers all must be the Patient's, and
"the server SHALL reject the request if the provided identifiers do not resolve to a single patient
record".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ehr_server.access.conditional import matches
from ehr_server.call import version_in
from ehr_server.changes.merging import Named, refused
from ehr_server.errors import Invalid, PreconditionFailed, Unprocessable
from ehr_server.fhir import references
from ehr_server.issue import Issue
from ehr_server.search.escapes import escape
from ehr_server.search.parse import parse

if TYPE_CHECKING:
    from ehr_server.call import Call
    from ehr_server.fhir.parameters import Given

_TYPE = "Patient"


def patient_named(call: Call, sent: Given, role: str) -> Named | None:
    """The Patient of `<role>-patient` and `<role>-patient-identifier`; None where neither is given.

    Raises `Invalid` for what is no reference to a Patient of this server, no identifier;
    `Unprocessable` where identifiers lead to none or to several.
    """
    by_reference = f"{role}-patient"
    by_identifier = f"{by_reference}-identifier"
    found = _referred(call, sent.one(by_reference), by_reference) if by_reference in sent else None
    identifiers = sent.all(by_identifier)
    if not identifiers:
        return found
    asked = [("identifier", _text(one, by_identifier)) for one in identifiers]
    if found is not None:
        asked.append(("_id", found.id))
    query = parse(_TYPE, asked, replace(call.means.rules, base=call.base_url))
    with call.store.connection() as connection:
        (ids,) = matches(call.store, connection, [query], call.caller)
    if found is not None and not ids:
        raise refused(
            replace(found, parameter=by_identifier),
            "has not all of these identifiers",
            "không có đủ các định danh này",
        )
    if len(ids) != 1:
        raise _no_single(by_identifier, has_any=bool(ids))
    return found or Named(ids[0], parameter=by_identifier)


def needed(named: Named | None, role: str) -> Named:
    """Raises `Invalid` where no Patient is named."""
    if named is None:
        raise Invalid(
            f"The parameter {role}-patient is missing, or {role}-patient-identifier in its place.",
            vi=f"Thiếu tham số {role}-patient, hoặc {role}-patient-identifier thay cho nó.",
            expression=(f"{role}-patient",),
        )
    return named


def with_if_match(call: Call, target: Named) -> Named:
    """The target in the version that If-Match names, as a versioned reference does.

    Raises `PreconditionFailed` where both name one, and not the same.
    """
    version = version_in(call.request.headers.get("if-match"), "If-Match")
    if None not in (version, target.version) and version != target.version:
        raise PreconditionFailed(
            f"If-Match names version {version} of the target, and the reference version "
            f"{target.version}; read it again.",
            vi=f"If-Match nêu phiên bản {version} của hồ sơ đích, còn tham chiếu nêu phiên bản "
            f"{target.version}; xin đọc lại.",
            expression=(target.parameter,),
        )
    return replace(target, version=target.version if version is None else version)


def _referred(call: Call, reference: Any, parameter: str) -> Named:
    text = reference.get("reference")
    found = references.parse(text, call.base_url) if isinstance(text, str) else None
    version = found.version if found is not None else None
    is_version = version is None or (version.isascii() and version.isdigit() and len(version) < 10)
    if found is None or found.kind != "local" or found.type != _TYPE or not is_version:
        raise Invalid(
            f"{parameter} is a Reference to a Patient of this server: Patient/1, or "
            "Patient/1/_history/2 if that version is meant.",
            vi=f"{parameter} là Reference tới một Patient trên máy chủ này: Patient/1, hoặc "
            "Patient/1/_history/2 nếu cần đúng phiên bản đó.",
            expression=(f"Parameters.parameter.where(name='{parameter}')",),
        )
    return Named(found.id or "", None if version is None else int(version), parameter)


def _text(identifier: Any, parameter: str) -> str:
    """The identifier as the value of a search."""
    system, value = identifier.get("system", ""), identifier.get("value")
    if not (isinstance(system, str) and isinstance(value, str) and value.strip()):
        raise Invalid(
            f"{parameter} is an Identifier with a value.",
            vi=f"{parameter} là Identifier có value.",
            expression=(f"Parameters.parameter.where(name='{parameter}')",),
        )
    return f"{escape(system)}|{escape(value)}" if system else escape(value)


def _no_single(parameter: str, *, has_any: bool) -> Unprocessable:
    text, vi = (
        ("lead to more than one Patient; name it by a reference", "dẫn tới nhiều Patient")
        if has_any
        else ("lead to no Patient", "không dẫn tới Patient nào")
    )
    return Unprocessable(
        issues=[
            Issue(
                "error",
                "multiple-matches" if has_any else "not-found",
                f"The identifiers of {parameter} {text}.",
                (f"Parameters.parameter.where(name='{parameter}')",),
                vi=f"Các định danh của {parameter} {vi}.",
            )
        ]
    )
