"""A searched value that cannot be understood."""


class Malformed(Exception):
    """Why a parameter cannot be read, to follow its name: `is not a date`.

    It never repeats the value, which may be a person's. `is_unsupported`: nothing is wrong with
    it, but it is not there yet, so a lenient client goes without. `search.parse` makes a refusal.
    """

    def __init__(self, text: str, vi: str, *, is_unsupported: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.vi = vi
        self.is_unsupported = is_unsupported


def unsupported(text: str) -> Malformed:
    """What the standard has and this server does not have yet."""
    return Malformed(f"{text}, which is not supported yet", "chưa được hỗ trợ", is_unsupported=True)
