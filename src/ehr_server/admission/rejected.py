"""Why a token or an assertion is refused."""


class Rejected(Exception):
    """`rule` names what is broken in a word (`expired`); `text` and `vi` say it to the sender, and
    hold nothing of what was sent."""

    def __init__(self, rule: str, text: str, vi: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
        self.text = text
        self.vi = vi
