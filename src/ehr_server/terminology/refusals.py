"""Why a terminology question cannot be answered, beside what `errors` draws."""

from ehr_server.errors import Unprocessable


class NotLoaded(Unprocessable):
    """A code system or value set that is needed is not loaded here, or only a part of it is."""

    code = "not-found"


class TooCostly(Unprocessable):
    """The answer would be longer than one answer may be."""

    code = "too-costly"


def system_not_loaded(system: str) -> NotLoaded:
    """The refusal of what needs the codes of a system that is not (wholly) loaded."""
    return NotLoaded(
        f"The code system {system} is not loaded here, or not completely, so its codes cannot be"
        " checked; ehr-server load-codes loads it from its published file.",
        vi=f"Hệ mã {system} chưa được nạp vào máy chủ, hoặc chưa đủ, nên không thể kiểm tra mã;"
        " lệnh ehr-server load-codes nạp hệ mã từ tệp đã công bố.",
    )
