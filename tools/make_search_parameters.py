"""SearchParameters and CompartmentDefinitions to rows. See make_definitions.py.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from __future__ import annotations

import re
from typing import Any

Resource = dict[str, Any]

_CANONICAL = "http://hl7.org/fhir/SearchParameter/"


def search_parameter_rows(
    parameters: list[Resource], parents: dict[str, str | None]
) -> list[list[Any]]:
    """Rows of base, code, type, expression, targets, components, url; sorted by base and code.

    `parents` tells of each resource type what it specializes. What the standard gives to Resource
    or DomainResource is repeated for each type.
    """
    standard = [parameter for parameter in parameters if _is_standard(parameter)]
    codes = {parameter["url"]: parameter["code"] for parameter in standard}
    rows = [
        _row(parameter, base, codes)
        for parameter in standard
        for given in parameter["base"]
        for base in _concrete(given, parents)
    ]
    return sorted(rows, key=lambda row: (row[0], row[1]))


def compartment_rows(definitions: list[Resource]) -> dict[str, dict[str, list[str]]]:
    """Compartment -> resource type -> codes of the parameters that place a resource in it.

    The marker `{def}` (the focus itself) is left out: every resource is in its own compartment.
    """
    return {
        definition["code"]: {
            member["code"]: codes
            for member in definition["resource"]
            if (codes := [code for code in member.get("param", ()) if code != "{def}"])
        }
        for definition in definitions
        if definition["id"] != "example"
    }


def _is_standard(parameter: Resource) -> bool:
    """Not an example of the package, and not one of those that forgot their base."""
    is_example = parameter["id"].startswith("example")
    return parameter["url"].startswith(_CANONICAL) and "base" in parameter and not is_example


def _concrete(base: str, parents: dict[str, str | None]) -> list[str]:
    if base == "Resource":
        return list(parents)
    if base == "DomainResource":
        return [name for name, parent in parents.items() if parent == base]
    return [base]


def _row(parameter: Resource, base: str, codes: dict[str, str]) -> list[Any]:
    components = [
        [codes[component["definition"]], component["expression"]]
        for component in parameter.get("component", ())
    ]
    expression = parameter.get("expression")
    return [
        base,
        parameter["code"],
        parameter["type"],
        _reduced(expression, base) if expression else None,
        sorted(parameter.get("target", ())),
        components,
        parameter["url"],
    ]


def _reduced(expression: str, base: str) -> str:
    """The parts of a union that start at the base type; `Resource.x` and a bare `x` start there."""
    parts = []
    for part in _union(expression):
        start = re.match(r"\(*([A-Za-z]+)", part)
        if start is None:
            raise ValueError(f"an expression that starts with no name: {part}")
        if start[1] in ("Resource", "DomainResource"):
            parts.append(part.replace(start[1], base, 1))
        elif start[1][0].islower():
            parts.append(f"{base}.{part}")
        elif start[1] == base:
            parts.append(part)
    if not parts:
        raise ValueError(f"nothing of {expression} is about {base}")
    return " | ".join(parts)


def _union(expression: str) -> list[str]:
    """The parts between the `|` that stand outside parentheses."""
    parts = [""]
    depth = 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
