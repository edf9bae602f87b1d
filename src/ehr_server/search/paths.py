"""What can be said of a search parameter's expression by looking at its text."""

import re

from ehr_server.definitions import definitions

_PLAIN = re.compile(r"[A-Z]\w*(?:\.\w+)+")


def alternatives(expression: str) -> tuple[str, ...]:
    """The expressions whose union it is: `a | (b as c)` is `a` and `b as c`."""
    parts, depth, start, quoted = [], 0, 0, False
    for at, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            parts.append(expression[start:at])
            start = at + 1
    return tuple(_bare(part) for part in (*parts, expression[start:]))


def binding(type_name: str, path: str) -> str | None:
    """The url of the required value set of the element that a plain path leads to, else None."""
    if not _PLAIN.fullmatch(path):
        return None
    types = definitions().types
    here, found = type_name, None
    for step in path.split(".")[1:]:
        element = types[here].elements.get(step)
        if element is None:
            return None
        here, found = element.types[0], element.binding
    return found


def _bare(part: str) -> str:
    """The part without the brackets that hold all of it."""
    part = part.strip()
    if part.startswith("(") and part.endswith(")") and "(" not in part[1:-1]:
        return part[1:-1].strip()
    return part
