"""The decisions of the write path: pure, from what was sent and from the facts gathered."""

from collections import Counter
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from ehr_server.access.audit_event import is_of_log
from ehr_server.changes import search_parameters
from ehr_server.changes.change import Change, Means
from ehr_server.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Overtaken,
    PreconditionFailed,
    Unprocessable,
)
from ehr_server.identity.kinds import compact
from ehr_server.identity.numbers import insurance_card, personal_number
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.search import directives
from ehr_server.validation.profiles.around import Around


def well_formed(means: Means, changes: Sequence[Change]) -> None:
    """Refuse resources that break the standard, or a profile that is not only advice, and two
    changes of one resource; note the findings of the others. Raises `Unprocessable` for a Consent
    of which it cannot be told what it permits, `Invalid` for anything else.

    A transaction's resources SHALL NOT overlap: https://hl7.org/fhir/R4/http.html#trules.
    """
    for change in changes:
        if change.type == "AuditEvent" and is_of_log(change.id or ""):
            raise Forbidden(
                "AuditEvents of this id are the access log, which nobody writes.",
                vi="AuditEvent có id này thuộc nhật ký truy cập, không ai được ghi.",
                expression=(change.where,) if change.where else (),
            )
    around = Around((one.full_url, one.resource) for one in changes if one.resource is not None)
    errors: list[Issue] = []
    for change in changes:
        if change.resource is not None:
            found = means.rulebook.check(change.resource, change.type, around=around)
            if not any(issue.severity in ("error", "fatal") for issue in found):
                found += [*search_parameters.faults(change), *_of_consent(means, change)]
            change.findings = [change.located(issue) for issue in found]
            errors += (one for one in change.findings if one.severity in ("error", "fatal"))
    if errors:
        warnings = (one for change in changes for one in change.findings if one not in errors)
        of_rules = all(one.rule.startswith("consent-") for one in errors)
        raise (Unprocessable if of_rules else Invalid)(issues=[*errors, *warnings])
    _refuse_overlap(changes)


def _of_consent(means: Means, change: Change) -> Sequence[Issue]:
    """What of a Consent in force is not evaluated, and why it cannot be."""
    if change.type != "Consent" or change.resource is None:
        return ()
    return directives.read(change.resource, means.rules).issues


def may_happen(changes: Sequence[Change]) -> None:
    """Refuse what the present state does not allow: If-Match, If-None-Match, an id that is taken,
    or that would be taken of a number.

    Raises `Overtaken` where a patch was made of a version that is no longer the newest.
    """
    for change in changes:
        live = change.now if change.place is not None and change.place.live else None
        refuse_other_version(change, live.ver if live else None)
        is_purged = change.place is not None and change.now is None and change.matched is None
        if is_purged and change.resource is not None:
            raise Conflict(
                f"{change.told} was purged; its id is never used again.",
                vi=f"{change.told} đã bị xóa vĩnh viễn; id không được dùng lại.",
                expression=(change.where,),
            )
        _refuse_number_as_id(change)
        if change.read is not None and (live is None or live.ver != change.read):
            raise Overtaken(
                "Another request changed the resource at the same moment; send the patch again.",
                vi="Một yêu cầu khác vừa thay đổi tài nguyên; xin gửi lại bản vá.",
                expression=(change.where,),
            )
        if change.criteria is not None and not change.meant and live is not None:
            raise Conflict(
                f"The criteria match nothing, but {change.told} of the body is there "
                "already; leave the id out, or update it by its address.",
                vi=f"Điều kiện không khớp gì, nhưng {change.told} đã có; xin bỏ id "
                "hoặc cập nhật theo địa chỉ.",
                expression=(f"{change.where}.id",),
            )
        if change.if_none_match and live is not None:
            raise PreconditionFailed(
                f"{change.told} is there already, and If-None-Match is *.",
                vi=f"{change.told} đã có sẵn, trong khi If-None-Match là *.",
                expression=(change.where,),
            )


def _refuse_number_as_id(change: Change) -> None:
    """A new Patient under somebody's number would have it in every address, log and reference:
    https://hl7.org/fhir/R4/resource.html#id. Who is there already goes on being updated."""
    if change.type != "Patient" or change.deed != "update" or change.place is not None:
        return
    value = compact(change.id or "")
    if personal_number(value) is not None or insurance_card(value) is not None:
        raise Invalid(
            "The id of a new Patient is a personal number or the number of a card, which every "
            "address of it would show: let the server give the id, by a POST or a conditional "
            "update, and find the Patient by its identifier.",
            vi="id của Patient mới là số định danh cá nhân hoặc mã thẻ BHYT, sẽ lộ trong mọi địa "
            "chỉ: xin để máy chủ cấp id, bằng POST hoặc cập nhật có điều kiện, và tìm Patient "
            "theo identifier.",
            expression=(f"{change.where}.id",),
        )


def refuse_other_version(change: Change, ver: int | None) -> None:
    """Raises `PreconditionFailed` where If-Match names another version than the current one."""
    if change.if_match is not None and ver != change.if_match:
        raise PreconditionFailed(
            f"If-Match names version {change.if_match}, but the current version is "
            f"{ver or 'gone'}; read it again and repeat the change.",
            vi=f"If-Match nêu phiên bản {change.if_match}, nhưng phiên bản hiện tại là "
            f"{ver or 'không còn'}; xin đọc lại rồi sửa.",
            expression=(change.where,),
        )


def no_match_goes(changes: Sequence[Change]) -> None:
    """Refuse to answer a conditional create with what the same transaction deletes."""
    gone = {change.identity for change in changes if change.deed == "delete"}
    for change in changes:
        if change.matched is not None and change.identity in gone:
            raise Invalid(
                f"ifNoneExist finds {change.told}, which the same transaction deletes.",
                vi=f"ifNoneExist khớp {change.told}, mà chính giao dịch này xóa.",
                expression=(change.where,),
            )


def _refuse_overlap(changes: Sequence[Change]) -> None:
    ids = Counter(change.identity for change in changes if change.id is not None)
    criteria = Counter(_criteria(change) for change in changes if _sought(change))
    for (type_name, which), count in (ids + criteria).items():
        if count > 1:
            told = id_without_number(which)
            shown = told if (type_name, which) in ids else "of the same criteria"
            shown_vi = told if (type_name, which) in ids else "cùng điều kiện"
            raise Invalid(
                f"{type_name} {shown} stands {count} times in one transaction; send it once.",
                vi=f"{type_name} {shown_vi} xuất hiện {count} lần trong một giao dịch; "
                "xin gửi một lần.",
            )


def _criteria(change: Change) -> tuple[str, str]:
    """Type and criteria, in one order. Not to be shown: they hold a person's identifiers."""
    pairs = parse_qsl(_sought(change).removeprefix("?"))
    return change.type, urlencode(sorted(pairs))


def _sought(change: Change) -> str:
    return change.if_none_exist or change.criteria or ""
