"""$access-log: who has looked at a person's record, as a person reads it.

An operation of this server, not of the standard (profiles/vn, OperationDefinition
patient-access-log; docs/guides/access-log.md). Looks at the record for an emergency, without the
consent that is else asked for, stand first and are marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server import clock, sealing
from ehr_server.access.audit_event import BREAK_GLASS, id_of
from ehr_server.access.looks import Look, Sought, comps_of, comps_told, looks
from ehr_server.call import Answer, Call, Route
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir import bundle, json
from ehr_server.fhir.parameters import Known, parameters
from ehr_server.operations.given import asked, moment
from ehr_server.redact import id_without_number
from ehr_server.store.access_log import first_id
from ehr_server.store.read import newest, place, places

if TYPE_CHECKING:
    from ehr_server.fhir.outcome import Language
    from ehr_server.store.connect import Connection

DEFINITION = "http://ehr-server.org/fhir/vn/OperationDefinition/patient-access-log"

_KNOWN = {
    "start": Known("dateTime"),
    "end": Known("dateTime"),
    "_count": Known("integer"),
    "_page": Known("string"),
}
_EMERGENCIES_MAX = 100  # that stand first

Words = tuple[str, str]  # English, Vietnamese

_DEEDS: Mapping[str, Words] = {
    "read": ("Read", "Xem"),
    "vread": ("Read an earlier version", "Xem phiên bản cũ"),
    "search": ("Searched", "Tìm kiếm"),
    "history": ("Read the history", "Xem lịch sử"),
    "create": ("Added", "Thêm mới"),
    "update": ("Changed", "Sửa đổi"),
    "patch": ("Changed", "Sửa đổi"),
    "delete": ("Deleted", "Xóa"),
    "transaction": ("Sent or asked for several", "Gửi hoặc lấy nhiều mục"),
    "everything": ("Read the whole record", "Xem toàn bộ hồ sơ"),
    "match": ("Was looked for by details", "Tra cứu theo thông tin cá nhân"),
    "export": ("Exported", "Xuất dữ liệu"),
    "document": ("Made a document", "Lập văn bản"),
    "merge": ("Merged records", "Gộp hồ sơ"),
    "access-log": ("Read this list", "Xem danh sách này"),
}
_OTHER: Words = ("Used", "Sử dụng")
_PURPOSES: Mapping[str, Words] = {
    "TREAT": ("treatment", "khám chữa bệnh"),
    "BTG": ("emergency access", "truy cập khẩn cấp"),
    "ETREAT": ("emergency treatment", "cấp cứu"),
    "HPAYMT": ("payment", "thanh toán"),
    "HOPERAT": ("running of a facility", "vận hành cơ sở"),
    "HRESCH": ("research", "nghiên cứu"),
    "PUBHLTH": ("public health", "y tế công cộng"),
    "PATRQT": ("at the person's request", "theo yêu cầu của người bệnh"),
    "HMARKT": ("marketing", "tiếp thị"),
    "SYSADMIN": ("administration of the system", "quản trị hệ thống"),
}


def access_log(call: Call) -> Answer:
    """200 with Parameters: a `look` for each, those of emergencies first, then the newest; `next`
    is the address of what comes after.

    Raises `NotFound`, and `Invalid` for what is no parameter of it.
    """
    sent = asked(call, _KNOWN)
    id_ = call.parts["id"]
    begin, end = moment(call, sent, "start"), moment(call, sent, "end", is_end=True)
    count = min(max(1, sent.one("_count", call.settings.count_default)), call.settings.count_max)
    key = call.store.secret(sealing.KEY)
    after = _after(sent.one("_page", ""), id_, key)
    with call.store.connection() as connection:
        comps, told_of = comps_of(connection, [id_]), comps_told(call.caller)
        is_told = told_of is None or comps <= told_of
        if not is_told or place(connection, "Patient", id_) is None:
            told = f"Patient/{id_without_number(id_)}"
            raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
        sought = Sought(
            comps=comps,
            begin=None if begin is None else first_id(begin),
            end=None if end is None else first_id(end),
            statuses=[(0, 399)],
            purposes=[BREAK_GLASS],
        )
        first = [] if after else looks(connection, sought, _EMERGENCIES_MAX)
        found = looks(connection, replace(sought, is_other=True), count + 1, after)
        named = _named(call, connection, [*first, *found])
        call.caller.trail.saw([one.comp for one in (*first, *found)][:1])
    shown: list[tuple[str, str, Any]] = [
        ("look", "part", _told(one, named, call)) for one in (*first, *found[:count])
    ]
    if len(found) > count:
        last = found[count - 1]
        token = sealing.seal(json.write([last.id, last.comp]), _purpose(id_), key)
        here = f"{call.base_url}/Patient/{id_}/$access-log"
        pairs = [pair for pair in call.request.query if pair[0] != "_page"]
        shown.append(("next", "valueUri", bundle.url(here, [*pairs, ("_page", token)])))
    return Answer(200, json.write(parameters(shown)))


def _told(one: Look, named: _Named, call: Call) -> list[tuple[str, str, Any]]:
    """A look as the parts of a parameter; what is not known is left out."""
    who, facility = named.caller(one), named.facility(one)
    code, reason = one.who.get("purpose", ""), one.who.get("reason", "")
    at = one.at.astimezone(call.settings.zone)
    sentence = _sentence(one, (who, facility), f"{at:%d/%m/%Y %H:%M}", call.language)
    parts = [
        ("emergency", "valueBoolean", code == BREAK_GLASS),
        ("when", "valueInstant", clock.instant(one.at)),
        ("who", "valueString", who),
        ("facility", "valueString", facility),
        ("purpose", "valueCode", code),
        ("reason", "valueString", reason),
        ("deed", "valueString", _deed(one)[call.language == "vi"]),
        ("what", "valueString", one.what),
        ("resources", "valueInteger", one.resources),
        ("text", "valueString", sentence),
        ("event", "valueUri", f"AuditEvent/{id_of(one)}"),
    ]
    return [part for part in parts if part[2] != ""]


def _sentence(one: Look, callers: Words, at: str, language: Language) -> str:
    who, facility = callers
    code = one.who.get("purpose", "")
    index = language == "vi"
    purpose = _PURPOSES.get(code, (code, code))[index]
    parts = [at, ", ".join(filter(None, (who, facility))), _deed(one)[index]]
    kind = _kind(one.what)
    number = f"{one.resources} {kind}".strip()
    parts[-1] += f": {number}" if one.resources else ""
    if purpose:
        parts.append(("purpose: ", "mục đích: ")[index] + purpose)
    if one.who.get("reason"):
        parts.append(("reason: ", "lý do: ")[index] + one.who["reason"])
    return " — ".join(parts)


def _deed(one: Look) -> Words:
    name = one.deed.rpartition("/")[2]
    name = "search" if name.startswith("search") else name
    name = "history" if name.startswith("history") else name
    for known in ("everything", "match", "export", "document", "merge", "access-log"):
        name = known if name.endswith(known) else name
    return _DEEDS.get(name, _OTHER)


def _kind(what: str) -> str:
    """The type of resource that an address names."""
    path = what.partition("?")[0].split("/")
    named = [part for part in path if part[:1].isupper()]
    return named[-1] if named and not path[-1].startswith("$") else ""


@dataclass(frozen=True, slots=True)
class _Named:
    """What users and facilities are called, by their references."""

    names: Mapping[str, str]
    unknown: str

    def caller(self, one: Look) -> str:
        who = one.who
        user = who.get("user") or who.get("subject", "")
        client = who.get("client") or who.get("name", "")
        told = self.names.get(user, user)
        if told and client and client != told:
            return f"{told} ({client})"
        return told or client or self.unknown

    def facility(self, one: Look) -> str:
        id_ = one.who.get("facility", "")
        return self.names.get(f"Organization/{id_}", f"Organization/{id_}") if id_ else ""


def _named(call: Call, connection: Connection, found: Sequence[Look]) -> _Named:
    """The names of all users and facilities that the looks name, by a statement for each type."""
    unknown = ("somebody without a name", "không rõ tên")[call.language == "vi"]
    texts = {one.who["user"] for one in found if "/" in one.who.get("user", "")}
    texts |= {f"Organization/{one.who['facility']}" for one in found if one.who.get("facility")}
    types = ("Organization", "Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
    wanted = [(kind, id_) for kind, _, id_ in (t.partition("/") for t in texts) if kind in types]
    lie = places(connection, wanted)
    names: dict[str, str] = {}
    for kind in types:
        of_kind = {id_: at for (type_, id_), at in lie.items() if type_ == kind}
        versions = newest(call.store, connection, kind, list(of_kind.values())) if of_kind else {}
        for id_, at in of_kind.items():
            version = versions.get(at.key)
            name = _name(json.read_stored(version.content)) if version else ""
            if name:
                names[f"{kind}/{id_}"] = name
    return _Named(names, unknown)


def _name(resource: Mapping[str, Any]) -> str:
    """What a resource calls itself: a string, or the first name of a person."""
    name = resource.get("name", "")
    if isinstance(name, str):
        return name
    first = name[0] if name else {}
    parts = (first.get("family", ""), *first.get("given", ()))  # as names are said here
    return str(first.get("text") or " ".join(filter(None, parts)))


def _after(token: str, id_: str, key: bytes) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        row, comp = json.read_own(sealing.unseal(token, _purpose(id_), key))
    except ValueError:
        raise Invalid(
            "_page is not a page of this list; begin again without it.",
            vi="_page không phải trang của danh sách này; xin xem lại từ đầu.",
            expression=("_page",),
        ) from None
    return row, comp


def _purpose(id_: str) -> bytes:
    return f"$access-log {id_}".encode()


ROUTES = (
    Route(DEFINITION, "GET", "Patient/{id}/$access-log", access_log),
    Route(DEFINITION, "POST", "Patient/{id}/$access-log", access_log),
)
