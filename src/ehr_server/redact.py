"""What of a sender's own words a text may repeat: no number that may be a person's.

An unknown parameter is named in the refusal, so that its sender finds it; but where a card number
was put in the place of the name, it would be told to whoever reads the outcome.
"""

import re

LEFT_OUT = "…"

_NUMBER = re.compile(r"[0-9](?:[ .]?[0-9]){5,}")
_ID = re.compile("[A-Za-z]{0,2}[0-9]{9,15}")


def without_numbers(text: str) -> str:
    """The text, with `…` in the place of six digits and more."""
    return _NUMBER.sub(LEFT_OUT, text)


def id_without_number(id_: str) -> str:
    """An id as a text shows it: `…` where somebody's number was taken for one. Other ids, such as
    the server's own, stay whole, whatever digits are in them."""
    return LEFT_OUT if _ID.fullmatch(id_) else id_
