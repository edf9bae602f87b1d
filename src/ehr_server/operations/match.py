"""$match: which Patients of the record may be the one that is sent.

https://hl7.org/fhir/R4/patient-operation-match.html. "The response from an "mpi" query is a bundle
containing patient records, ordered from most likely to least likely. If there are no patient
matches, the MPI SHALL return an empty search set with no error". How two records are compared:
docs/guides/matching.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.access.match import Look, alike, someone, today
from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, Unprocessable
from ehr_server.fhir import bundle
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import asked, needed, posted

if TYPE_CHECKING:
    from ehr_server.access.match import Sought

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Patient-match"
_TYPE = "Patient"
_KNOWN = {
    "resource": Known("Resource"),
    "onlyCertainMatches": Known("boolean"),
    "count": Known("integer"),
}
# What is said of identifiers does not stand in the way: a number that is no number finds nobody.
_FORGIVEN = ("-shape", "-system", "-check-digit")


def match(call: Call) -> Answer:
    """200 with a searchset, best first, each entry with its grade and score.

    Raises `Invalid` without a Patient, for one that says nothing to tell a person by and for other
    parameters; `Unprocessable` for one that is not of the standard's form.
    """
    body = posted(call)
    is_alone = body is not None and body.get("resourceType") == _TYPE
    sent = asked(call, _KNOWN, is_body_meant=not is_alone)
    patient = body if is_alone and body is not None else needed(sent, "resource")
    look = Look(call.store, call.caller, call.means.rules, today(call.means.rules))
    sought = _sought(call, patient, look.today, "Patient" if is_alone else "resource")
    with call.store.connection() as connection:
        (found,) = alike(look, connection, [sought])
    if sent.one("onlyCertainMatches", False):
        certain = [pair for pair in found if pair[1].grade == "certain"]
        found = certain if len(certain) == 1 else []
    most = min(sent.one("count", call.settings.count_default), call.settings.count_max)
    call.caller.trail.saw(record.comp for record, _ in found[:most])
    entries = [
        bundle.matched_entry(call.base_url, record.content, likeness.grade, likeness.score)
        for record, likeness in found[:most]
    ]
    links = [("self", f"{call.base_url}/{_TYPE}/$match")]
    return Answer(200, bundle.bundle("searchset", entries, links, len(found)))


def _sought(call: Call, patient: dict[str, Any], day: str, where: str) -> Sought:
    if patient.get("resourceType") != _TYPE:
        raise Invalid(
            "The parameter resource must be a Patient, as much of it as is known.",
            vi="Tham số resource phải là một Patient, với những gì đã biết.",
            expression=(where,),
        )
    found = call.means.rulebook.check(patient, _TYPE)
    errors = [
        one
        for one in found
        if one.severity in ("error", "fatal") and not one.rule.endswith(_FORGIVEN)
    ]
    if errors:
        raise Unprocessable(issues=errors)
    sought = someone(patient, day)
    person = sought.person
    if not (person.names or person.numbers or person.local or person.phones):
        raise Invalid(
            "There is nothing to tell a person by: send a name with a birth date or an address, "
            "an identifier or a telephone number.",
            vi="Không có gì để nhận ra một người: hãy gửi họ tên kèm ngày sinh hoặc địa chỉ, "
            "một định danh hoặc số điện thoại.",
            expression=(where,),
        )
    return sought


ROUTES = (Route(_DEFINITION, "POST", "Patient/$match", match),)
