"""A search by a parameter whose index is not complete: to be asked again later."""

from ehr_server.errors import Unavailable

_RETRY_AFTER_S = "5"


class Unready(Unavailable):
    """A search asks for a parameter whose index is still being built: what it would find is not
    all there is. `told` has the text, once it is known how far the index is."""

    def __init__(self, type_name: str, code: str) -> None:
        self.type_name = type_name
        self.parameter_code = code
        super().__init__(
            f"The index of the search parameter {code} of {type_name} is still being built.",
            vi=f"Chỉ mục của tham số tìm kiếm {code} của {type_name} còn đang được xây dựng.",
            headers={"Retry-After": _RETRY_AFTER_S},
        )

    def told(self, percent: int) -> Unavailable:
        """The refusal that also says how far the index is."""
        return Unavailable(
            f"{self.text} {percent} percent are done; try again later.",
            vi=f"{self.vi} Đã xong {percent} phần trăm; xin thử lại sau.",
            headers=self.headers,
        )
