"""What is wrong with an expression, and where."""


class FHIRPathError(ValueError):
    """The expression cannot be compiled: `text` says why, `at` is the 0-based character."""

    def __init__(self, text: str, at: int, expression: str = "") -> None:
        place = f" of {expression!r}" if expression else ""
        super().__init__(f"{text} at character {at + 1}{place}")
        self.text = text
        self.at = at


class Unsupported(FHIRPathError):
    """The expression may be right, but asks for what is not compiled here."""
