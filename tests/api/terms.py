"""Asking a server about codes."""

from typing import Any

import httpx


def parameters(**values: Any) -> dict[str, Any]:
    """Parameters to post: `code__valueCode="x"` or `valueSet__resource={...}`."""
    several = []
    for name, value in values.items():
        parameter, _, element = name.partition("__")
        several.append({"name": parameter, element: value})
    return {"resourceType": "Parameters", "parameter": several}


def said(answer: httpx.Response) -> dict[str, Any]:
    """The parameters of an answer by name; those with parts as lists."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for one in answer.json()["parameter"]:
        if "part" in one:
            found.setdefault(one["name"], []).append(_parts(one))
        else:
            (found[one["name"]],) = (value for key, value in one.items() if key != "name")
    return found


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, issue code and English text of a refusal."""
    issue = answer.json()["issue"][0]
    return answer.status_code, issue["code"], issue["diagnostics"]


def _parts(one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in one["part"]:
        if "part" in part:
            found.setdefault(part["name"], []).append(_parts(part))
        else:
            (found[part["name"]],) = (value for key, value in part.items() if key != "name")
    return found
