"""Writes docs/reference/profiles.md from the local profiles in profiles/vn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
PAGE = _ROOT / "docs" / "reference" / "profiles.md"
_SOURCE = _ROOT / "profiles" / "vn"
_APPLIES = "http://ehr-server.org/fhir/vn/StructureDefinition/applies-when"
_SEVERITIES = {"error": "error", "warning": "advice"}

Resource = dict[str, Any]

_HEAD = """\
# Local profiles

Made from `profiles/vn` by `tools/make_profiles_page.py`. The addresses begin with
`http://ehr-server.org/fhir/vn/StructureDefinition/`. A resource is held to a profile that it claims
in `meta.profile`, and to each whose criterion ("applies when", a FHIRPath expression) is true for
it. What breaks an *error* makes a resource wrong, what breaks an *advice* less useful; whether
errors refuse a resource is the setting `--profiles`, by default they warn. Rules that a profile
has from its parent are listed there. `profiles/vn/README.md` has the reasons.

"""


def page() -> str:
    """The page, in Markdown."""
    definitions = _resources("StructureDefinition")
    profiles = [one for one in definitions if one["type"] != "Extension"]
    extensions = [one for one in definitions if one["type"] == "Extension"]
    return (
        _HEAD
        + _contents(profiles)
        + "".join(_profile(one) for one in profiles)
        + _extensions(extensions)
        + _code_systems()
        + _naming_systems()
    )


def _resources(folder: str) -> list[Resource]:
    paths = sorted((_SOURCE / folder).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _contents(profiles: list[Resource]) -> str:
    rows = (
        f"| [{one['id']}](#{one['id']}) | {one['type']} | {one['title']} |\n" for one in profiles
    )
    return "| profile | of | |\n|---|---|---|\n" + "".join(rows)


def _profile(profile: Resource) -> str:
    rows = [row for element in profile["differential"]["element"] for row in _rows(element)]
    return (
        f"\n## {profile['id']}\n\n{_english(profile, 'description')}\n\n"
        f"Derives from `{profile['baseDefinition'].rpartition('/')[2]}`. Applies when"
        f" `{_criterion(profile)}`\n\n| rule | | asks |\n|---|---|---|\n{''.join(rows)}"
    )


def _rows(element: Resource) -> list[str]:
    """One row for each thing that the element asks for, but not the frame of slices."""
    path = _shown(element["id"])
    rows = []
    if element.get("min"):
        rows.append(f"| min | error | `{path}` is there |\n")
    if element.get("max") == "0":
        rows.append(f"| max | error | `{path}` is not there |\n")
    for name, value in element.items():
        if name.startswith("pattern"):
            rows.append(f"| pattern | error | `{path}` has {_value(value)} |\n")
    if (binding := element.get("binding")) and binding["strength"] in ("required", "extensible"):
        severity = "error" if binding["strength"] == "required" else "advice"
        rows.append(f"| binding | {severity} | `{path}` is of `{_tail(binding['valueSet'])}` |\n")
    for constraint in element.get("constraint", ()):
        severity = _SEVERITIES[constraint["severity"]]
        rows.append(f"| {constraint['key']} | {severity} | {_cell(constraint['human'])} |\n")
    return rows


def _extensions(extensions: list[Resource]) -> str:
    text = "\n## Extensions\n\n| extension | of | value | |\n|---|---|---|---|\n"
    for one in extensions:
        value = one["differential"]["element"][-1]
        bound = f", `{_tail(value['binding']['valueSet'])}`" if "binding" in value else ""
        places = ", ".join(context["expression"] for context in one["context"])
        kind = value["type"][0]["code"]
        text += f"| {one['id']} | {places} | {kind}{bound} | {_english(one, 'description')} |\n"
    return text


def _code_systems() -> str:
    text = "\n## Code systems\n\n| code system | codes | |\n|---|---|---|\n"
    for one in _resources("CodeSystem"):
        some = " (a part of the list)" if one["content"] == "fragment" else ""
        text += f"| {one['id']} | {one['count']}{some} | {_english(one, 'description')} |\n"
    return text


def _naming_systems() -> str:
    text = "\n## Identifiers\n\n| identifier | system | also understood | |\n|---|---|---|---|\n"
    for one in _resources("NamingSystem"):
        first, *others = (unique["value"] for unique in one["uniqueId"])
        also = " ".join(f"`{other}`" for other in others)
        text += f"| {one['id']} | `{first}` | {also} | {_english(one, 'description')} |\n"
    return text


def _criterion(profile: Resource) -> str:
    found = (one["valueString"] for one in profile["extension"] if one["url"] == _APPLIES)
    return str(next(found))


def _english(resource: Resource, name: str) -> str:
    parts = resource[f"_{name}"]["extension"][0]["extension"]
    return str(next(part["valueString"] for part in parts if part["url"] == "content"))


def _shown(id_: str) -> str:
    """`Observation.component:systolic.code` as people read it."""
    return id_.replace(":", " ").replace("[x]", "")


def _value(value: Any) -> str:
    coding = value["coding"][0] if "coding" in value else value
    return f"`{coding['code']}` of `{coding['system']}`"


def _tail(url: str) -> str:
    return url.rpartition("/")[2]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
