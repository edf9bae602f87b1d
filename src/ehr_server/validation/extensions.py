"""Extensions: whether each keeps to its definition, where that is loaded, and may stand there.

https://hl7.org/fhir/R4/extensibility.html. An extension claims its definition by its url. One that
is not known here is welcome all the same, except that whoever reads a modifierExtension must know
what it does. The gate asks `is_sound` of the extensions that may be known, `findings` looks at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.definitions.profile import Context, Profile
from ehr_server.issue import Issue
from ehr_server.validation.profiles.around import NOTHING
from ehr_server.validation.profiles.elements import reader
from ehr_server.validation.profiles.run import Run

if TYPE_CHECKING:
    from ehr_server.validation.profiles.compile import HeldProfile
    from ehr_server.validation.rulebook import Rulebook

_RESOURCES = ("Resource",)  # in a resource, each is looked at by itself
_ANYWHERE = "Element"  # resources too: R4 has `cqf-library` so, and puts it on Questionnaires


def is_sound(extension: dict[str, Any], holder: str, rulebook: Rulebook) -> bool:
    """Whether an extension in a value of the type `holder` surely gives no cause for findings."""
    url = extension.get("url")
    held = known(url, rulebook) if isinstance(url, str) else None
    if held is None:
        return True
    if held.profile.is_modifier:  # none of those stands where the gate looks
        return False
    is_allowed = held.holders.get(holder)
    if is_allowed is None:
        names = frozenset((holder, *_ancestors(holder)))
        is_allowed = any(_allows(one, names) for one in held.profile.contexts)
        held.holders[holder] = is_allowed
    if not is_allowed:
        return False
    return held.passes(extension, "Extension", Run(rulebook, NOTHING, extension, held.url))


def known(url: str, rulebook: Rulebook) -> HeldProfile | None:
    """The definition of the extension; None if there is none that can be used."""
    held = rulebook.usable(url)
    return held if held is not None and held.profile.type == "Extension" else None


def findings(resource: dict[str, Any], place: str, rulebook: Rulebook) -> Iterator[Issue]:
    """What is wrong with the extensions of a resource, its contained ones aside.

    Unknown modifier extensions are warnings, or errors where the policy refuses them.
    """
    name = str(resource["resourceType"])
    for found in _extensions(resource, name, place or name, (name,)):
        yield from _of_one(found, resource, rulebook)


_Where = tuple[str, frozenset[str], str]  # place; names of the holder; url of the extension around
_One = tuple[dict[str, Any], bool, _Where]  # the extension; is it a modifier; where


def _of_one(found: _One, resource: dict[str, Any], rulebook: Rulebook) -> Iterator[Issue]:
    extension, is_modifier, (place, names, outer) = found
    url = extension.get("url")
    if not isinstance(url, str) or ":" not in url:
        return  # one within another: the outer's definition says what it may be
    held = known(url, rulebook)
    if held is None:
        if is_modifier:
            yield _unknown_modifier(
                place, rulebook.policy.refuses_modifiers(str(resource["resourceType"]))
            )
        return
    level = rulebook.policy.level(held.url, "Extension")
    if level == "off":
        return
    run = Run(rulebook, NOTHING, resource, held.url)
    for check in held.checks("Extension"):
        check(extension, place, run)
    if not any(_allows(one, names, outer) for one in held.profile.contexts):
        run.found.append(_wrong_place(place, held.profile))
    if held.profile.is_modifier is not is_modifier:
        run.found.append(_wrong_kind(place, held.profile))
    for issue in run.found:
        is_softened = level == "warn" and issue.severity == "error"
        yield replace(issue, severity="warning") if is_softened else issue


def _allows(context: Context, names: frozenset[str], outer: str = "") -> bool:
    """Whether an extension may stand where the holder has these names."""
    match context.kind:
        case "extension":
            return context.expression == outer
        case "fhirpath":
            return True  # an expression on what holds it: not checked
        case _:
            first = context.expression.partition(".")[0]
            return context.expression in (_ANYWHERE, *names) or first not in definitions().types


def _ancestors(type_name: str) -> Iterator[str]:
    """The types that a type specializes: of a backbone, BackboneElement and Element."""
    definition = definitions().types.get(type_name)
    while definition is not None and definition.parent is not None:
        yield definition.parent
        definition = definitions().types.get(definition.parent)
    if "." in type_name:
        yield from ("BackboneElement", "Element")
    elif type_name in PRIMITIVES:
        yield "Element"


def _extensions(
    value: dict[str, Any], type_name: str, place: str, paths: tuple[str, ...], outer: str = ""
) -> Iterator[_One]:
    """All extensions in a value; `paths` are its names by path: `Patient.name`, `HumanName`."""
    definition = definitions().types.get(type_name)
    if definition is None:
        return
    names = frozenset((*paths, type_name, *_ancestors(type_name)))
    for element in definition.elements.values():
        if element.types == _RESOURCES:
            continue
        for item in reader(element)(value):
            here = f"{place}.{element.name}"
            here = here if item.at is None else f"{here}[{item.at}]"
            if item.type == "Extension":
                is_modifier = element.name == "modifierExtension"
                yield item.value, is_modifier, (here, names, outer)
                url = str(item.value.get("url"))
                yield from _extensions(item.value, "Extension", here, ("Extension",), url)
            elif item.parts:
                below = tuple(f"{path}.{element.name}" for path in paths)
                own = (item.type,) if item.type != below[0] else ()
                yield from _extensions(item.parts, item.type, here, (*below, *own), outer)


def _unknown_modifier(place: str, is_refused: bool) -> Issue:
    return Issue(
        "error" if is_refused else "warning",
        "extension",
        "This modifierExtension is not known here: it may change the meaning of what it stands in. "
        "Load the package that defines it, or send the content without it.",
        (place,),
        "Máy chủ không biết modifierExtension này: nó có thể làm thay đổi ý nghĩa của phần tử chứa "
        "nó. Hãy nạp gói định nghĩa nó, hoặc gửi nội dung không có nó.",
        "modifier-extension",
    )


def _wrong_kind(place: str, definition: Profile) -> Issue:
    name = "modifierExtension" if definition.is_modifier else "extension"
    return Issue(
        "error",
        "extension",
        f"This extension stands under {name}, by its definition: move it there.",
        (place,),
        f"Theo định nghĩa, extension này phải đặt trong {name}: hãy chuyển tới đó.",
        "extension",
        definition.url,
    )


def _wrong_place(place: str, definition: Profile) -> Issue:
    allowed = ", ".join(sorted(one.expression for one in definition.contexts))
    return Issue(
        "error",
        "extension",
        f"This extension may stand in {allowed} alone: move it there.",
        (place,),
        f"Extension này chỉ được đặt trong {allowed}: hãy chuyển tới đó.",
        "extension",
        definition.url,
    )
