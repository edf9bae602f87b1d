"""A searched value that cannot be understood."""


class Malformed(Exception):
    """Why a value cannot be read, to follow the parameter's name: `is not a date`.

    It never repeats the value, which may be a person's. `search.parse` makes a refusal of it.
    """

    def __init__(self, text: str, vi: str) -> None:
        super().__init__(text)
        self.text = text
        self.vi = vi
