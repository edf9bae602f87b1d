"""What data are asked for: the headers X-Purpose-Of-Use and X-Purpose-Reason, and the broken glass.

Codes of http://terminology.hl7.org/CodeSystem/v3-ActReason. To break the glass (BTG) is to see one
person's record whatever they have denied, in an emergency and with the reason told to them: so it
is for requests about one person alone.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from ehr_server.access.principal import Principal
from ehr_server.errors import Forbidden, Invalid
from ehr_server.search.marks import PERSONAL_TYPES

PURPOSE, REASON = "x-purpose-of-use", "x-purpose-reason"

TREATMENT, BROKEN_GLASS = "TREAT", "BTG"
PURPOSES = (TREATMENT, BROKEN_GLASS, "HPAYMT", "HRESCH", "PUBHLTH", "PATRQT", "HOPERAT",
            "PATADMIN", "HSYSADMIN")  # fmt: skip
REASON_MIN, REASON_MAX = 10, 500  # characters

_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ActReason|"
_OF_PATIENT = frozenset(("patient", "subject"))
# What leads from one person to another, or asks others whether they are meant.
_WIDER = ("_include", "_revinclude", "_has", "_filter", "_list", "_query")


def purpose_of(headers: Mapping[str, str], principal: Principal | None) -> tuple[str, str]:
    """The purpose of a request and the reason in words, "" where none is given; names of `headers`
    are in lower case. Who has no principal may say any purpose.

    Raises `Invalid` for a purpose or reason that cannot be read, `Forbidden` for a purpose that the
    caller has not. Whether a glass may be broken by a request: `hold_glass`.
    """
    reason = _reason(headers.get(REASON, ""))
    given = headers.get(PURPOSE, "").strip().removeprefix(_SYSTEM)
    has = PURPOSES if principal is None else principal.purposes or (TREATMENT,)
    if not given:
        given = TREATMENT if TREATMENT in has else has[0]
    elif given not in PURPOSES:
        raise Invalid(
            f"X-Purpose-Of-Use must be one of {', '.join(PURPOSES)}.",
            vi=f"X-Purpose-Of-Use phải là một trong {', '.join(PURPOSES)}.",
        )
    if given not in has:
        raise Forbidden(
            f"This client may not ask for data for {given}; it may for {', '.join(has)}.",
            vi=f"Ứng dụng này không được yêu cầu dữ liệu cho mục đích {given}; được phép: "
            f"{', '.join(has)}.",
        )
    if given == BROKEN_GLASS and len(reason) < REASON_MIN:
        raise Invalid(
            "Breaking the glass takes a reason, which the person will read: send it as "
            f"X-Purpose-Reason, percent-encoded UTF-8 of {REASON_MIN} to {REASON_MAX} characters.",
            vi="Mở khóa khẩn cấp phải có lý do, và người bệnh sẽ đọc được: xin gửi bằng "
            f"X-Purpose-Reason, UTF-8 mã hóa phần trăm, {REASON_MIN}–{REASON_MAX} ký tự.",
        )
    return given, reason


def hold_glass(method: str, path: Sequence[str], query: Sequence[tuple[str, str]]) -> None:
    """Raises `Forbidden` for a request that is not about one person; `path` below the base,
    decoded, `query` with what came in the body of a search."""
    if not _is_about_one(method, path, query):
        raise Forbidden(
            "The glass is broken for one person at a time, to read: ask for Patient/<id> and what "
            "is below it, for one resource by its id, or search with one patient= or "
            "identifier=, without _include, _revinclude, _has and _filter.",
            vi="Mở khóa khẩn cấp chỉ để đọc và chỉ cho từng người: xin hỏi Patient/<id> và phần "
            "dưới đó, một tài nguyên theo id, hoặc tìm với một patient= hay identifier=, không "
            "dùng _include, _revinclude, _has, _filter.",
        )


def _reason(text: str) -> str:
    """Raises `Invalid` for what is no text, or too much of it."""
    try:
        reason = unquote(text, errors="strict").strip()
    except UnicodeDecodeError:
        reason = "\0"
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise Invalid(
            f"X-Purpose-Reason must be percent-encoded UTF-8, one line of at most {REASON_MAX} "
            "characters.",
            vi=f"X-Purpose-Reason phải là UTF-8 mã hóa phần trăm, một dòng, tối đa {REASON_MAX} "
            "ký tự.",
        )
    return reason


def _is_about_one(method: str, path: Sequence[str], query: Sequence[tuple[str, str]]) -> bool:
    is_read = method in ("GET", "HEAD")
    if any(name.partition(":")[0] in _WIDER for name, _ in query):
        return False
    match list(path):
        case ["Patient", id_, "$everything"] | ["Encounter", id_, "$everything"]:
            return is_read or method == "POST"
        case ["Patient", id_, _, "_search"] if not id_.startswith(("_", "$")):
            return method == "POST"
        case ["Patient", id_, *rest] if not id_.startswith(("_", "$")):
            return is_read and not any(one.startswith("$") for one in rest)
        case [type_name, "_search"]:
            return method == "POST" and _names_one(type_name, query)
        case [type_name]:
            return is_read and _names_one(type_name, query)
        case [type_name, id_, *rest] if not id_.startswith(("_", "$")):
            is_plain = not rest or rest[0] == "_history"
            return is_read and is_plain and type_name in PERSONAL_TYPES and type_name != "Group"
        case _:
            return False


def _names_one(type_name: str, query: Sequence[tuple[str, str]]) -> bool:
    """Whether a search names one Patient, by id or by one identifier."""
    names = ("_id", "identifier") if type_name == "Patient" else ()
    if type_name not in PERSONAL_TYPES:
        return False
    found = [
        value
        for name, value in query
        if name in names or (type_name != "Patient" and _names_patient(name, value))
    ]
    # Of an identifier a system alone, `system|`, names all who have one of it.
    return len(found) == 1 and bool(found[0].rpartition("|")[2].strip()) and "," not in found[0]


def _names_patient(name: str, value: str) -> bool:
    first, _, rest = name.partition(".")
    code, _, kind = first.partition(":")
    if code not in _OF_PATIENT or kind not in ("", "Patient"):
        return False
    if rest:
        return rest in ("identifier", "_id") and (code == "patient" or kind == "Patient")
    is_patient = code == "patient" or kind == "Patient" or value.startswith("Patient/")
    return is_patient and value.count("/") <= 1
