"""$unmerge: a merge is taken back.

An operation of this server, not of the standard; docs/guides/merging.md. What was written to either
record since the merge stays with that record.
"""

from __future__ import annotations

from ehr_server.call import Answer, Call, Route
from ehr_server.changes.merging import Ask, Named
from ehr_server.changes.merging import unmerge as carry_out
from ehr_server.fhir.parameters import Known
from ehr_server.issue import Issue
from ehr_server.operations.given import asked
from ehr_server.operations.merge import told
from ehr_server.operations.patient_named import needed, patient_named, with_if_match
from ehr_server.redact import id_without_number

DEFINITION = "http://ehr-server.org/fhir/OperationDefinition/unmerge"

_KNOWN = {
    "source-patient": Known("Reference"),
    "target-patient": Known("Reference"),
    "preview": Known("boolean"),
}


def unmerge(call: Call) -> Answer:
    """200 with Parameters: what was sent, the outcome, both records as they are then; of a
    `preview` as they would be.

    `source-patient` is the record that was merged away, `target-patient` may say into which.
    Raises as `$merge`.
    """
    sent = asked(call, _KNOWN)
    source = needed(patient_named(call, sent, "source"), "source")
    target = patient_named(call, sent, "target") or Named("", parameter="target-patient")
    ask = Ask(source, with_if_match(call, target), is_preview=sent.one("preview", False))
    done = carry_out(call.means, ask)
    results = [("source", "resource", done.source), ("target", "resource", done.target)]
    return told(call, [_outcome(ask), *done.findings], results)


def _outcome(ask: Ask) -> Issue:
    was, vi = ("would be", "sẽ được") if ask.is_preview else ("is", "đã được")
    told = id_without_number(ask.source.id)
    return Issue(
        "information",
        "informational",
        f"Patient/{told} {was} a record of its own again.",
        vi=f"Patient/{told} {vi} tách lại thành hồ sơ riêng.",
    )


ROUTES = (Route(DEFINITION, "POST", "Patient/$unmerge", unmerge),)
