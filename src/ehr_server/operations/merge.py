"""$merge: two Patients are records of one person.

https://hl7.org/fhir/R5/patient-operation-merge.html, which R4 does not have yet. What it does to
the two records, and how it is taken back, tells docs/guides/merging.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.call import Answer, Call, Route
from ehr_server.changes.merging import Ask, Named
from ehr_server.changes.merging import merge as carry_out
from ehr_server.errors import Invalid
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.fhir.parameters import Known
from ehr_server.fhir.references import parse
from ehr_server.identity.merging import REPLACES
from ehr_server.issue import Issue
from ehr_server.operations.given import answered, asked, posted
from ehr_server.operations.patient_named import needed, patient_named, with_if_match
from ehr_server.redact import id_without_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.fhir.parameters import Given

DEFINITION = "http://hl7.org/fhir/OperationDefinition/Patient-merge"

_RESULT = "result-patient"
_KNOWN = {
    "source-patient": Known("Reference"),
    "source-patient-identifier": Known("Identifier", is_list=True),
    "target-patient": Known("Reference"),
    "target-patient-identifier": Known("Identifier", is_list=True),
    _RESULT: Known("Patient"),
    "preview": Known("boolean"),
}


def merge(call: Call) -> Answer:
    """200 with Parameters: what was sent, the outcome, the target as it is then; of a `preview` as
    it would be.

    Raises `Invalid` for parameters that are wrong, `Unprocessable` for records that cannot be
    merged, `PreconditionFailed` where a version is named that is not the current one.
    """
    sent = asked(call, _KNOWN)
    source = needed(patient_named(call, sent, "source"), "source")
    target = with_if_match(call, needed(patient_named(call, sent, "target"), "target"))
    ask = Ask(source, target, _result(call, sent, source, target), sent.one("preview", False))
    done = carry_out(call.means, ask)
    return told(call, [_outcome(ask), *done.findings], [("result", "resource", done.target)])


def told(call: Call, issues: Sequence[Issue], results: list[tuple[str, str, Any]]) -> Answer:
    """200 with what was sent, the outcome, and the results."""
    sent = posted(call)
    return answered(
        [
            *([("input", "resource", sent)] if sent else []),
            ("outcome", "resource", operation_outcome(issues, call.language)),
            *results,
        ]
    )


def _outcome(ask: Ask) -> Issue:
    source, target = map(id_without_number, (ask.source.id, ask.target.id))
    was, vi = ("would be", "sẽ được") if ask.is_preview else ("was", "đã được")
    return Issue(
        "information",
        "informational",
        f"Patient/{source} {was} merged into Patient/{target}.",
        vi=f"Patient/{source} {vi} gộp vào Patient/{target}.",
    )


def _result(call: Call, sent: Given, source: Named, target: Named) -> dict[str, Any] | None:
    """What the sender wants the target to be. "It must have the same patient.id and provided
    identifiers included" and a link to the source."""
    result: dict[str, Any] | None = sent.one(_RESULT)
    if result is None:
        return None
    to, of = id_without_number(target.id), id_without_number(source.id)
    if result.get("id") != target.id:
        raise _unfit("id", f"has not the id of the target, {to}", f"phải có id {to}")
    if not any(_replaces(call, one, source.id) for one in _listed(result, "link")):
        raise _unfit(
            "link",
            f"has no link of type replaces to Patient/{of}",
            f"phải có link replaces tới Patient/{of}",
        )
    there = [(one.get("system"), one.get("value")) for one in _listed(result, "identifier")]
    for one in sent.all("target-patient-identifier"):
        if (one.get("system"), one.get("value")) not in there:
            raise _unfit(
                "identifier",
                "has not all identifiers that target-patient-identifier names",
                "phải có mọi định danh mà target-patient-identifier nêu",
            )
    return result


def _replaces(call: Call, link: dict[str, Any], source: str) -> bool:
    other = link.get("other")
    text = other.get("reference") if isinstance(other, dict) else None
    if link.get("type") != REPLACES or not isinstance(text, str):
        return False
    found = parse(text, call.base_url)
    return found.kind == "local" and (found.type, found.id) == ("Patient", source)


def _listed(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list; whether it is well formed, the write tells."""
    several = resource.get(name)
    return [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []


def _unfit(element: str, text: str, vi: str) -> Invalid:
    return Invalid(
        f"{_RESULT} {text}.",
        vi=f"{_RESULT} {vi}.",
        expression=(f"Parameters.parameter.where(name='{_RESULT}').resource.{element}",),
    )


ROUTES = (Route(DEFINITION, "POST", "Patient/$merge", merge),)
