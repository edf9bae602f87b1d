"""Values as they stand in a query: `,` `|` `$` part them, a backslash makes these ordinary.

https://hl7.org/fhir/R4/search.html#escaping
"""

from ehr_server.search.malformed import Malformed

_MARKS = ",|$\\"


def split(text: str, mark: str) -> list[str]:
    """The parts of the text between unescaped marks, themselves still escaped."""
    if "\\" not in text:
        return text.split(mark)
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    """The text as it is meant. Raises `Malformed` for a backslash before anything else."""
    if "\\" not in text:
        return text
    plain: list[str] = []
    rest = iter(text)
    for character in rest:
        if character == "\\":
            character = next(rest, "")
            if not character or character not in _MARKS:
                raise Malformed(
                    "has a backslash that escapes nothing: only \\, \\| \\$ and \\\\ are known",
                    "có dấu gạch chéo ngược không hợp lệ: chỉ dùng \\, \\| \\$ và \\\\",
                )
        plain.append(character)
    return "".join(plain)


def escape(text: str) -> str:
    """The text as it stands in a query, so that `unescape` gives it back."""
    return "".join(f"\\{one}" if one in _MARKS else one for one in text)
