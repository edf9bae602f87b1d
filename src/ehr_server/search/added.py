"""A SearchParameter of one's own to what is added to the types it names, or what is wrong with it.

https://hl7.org/fhir/R4/searchparameter.html. It is used while its status is `active`, experimental
or not; any other is stored and no more. What the standard defines is there already: its url, or
its code with the same meaning, adds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from ehr_server.definitions import SearchParameter, definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.issue import Issue
from ehr_server.search import composites
from ehr_server.search.bounded import JOINS_MAX, WALKS_MAX, is_costly
from ehr_server.search.parameter import ADDED_FROM, Searched
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.search.paths import alternatives
from ehr_server.search.types.registry import fits

EXPRESSION_MAX = 4_000  # characters
ALTERNATIVES_MAX = 50  # of one expression
OF_TYPE_MAX = 100  # parameters added to one type: each is looked for in each of its resources

_FAULTS_MAX = 20  # that are told
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_START = re.compile(r"\(*([A-Za-z]+)")
_ABSTRACT = ("Resource", "DomainResource")
_TOGETHER = frozenset(
    (
        ("token", "token"),
        ("token", "reference"),
        ("reference", "token"),
        ("reference", "reference"),
        ("token", "quantity"),
    )
)

Resource = Mapping[str, Any]


class Row(NamedTuple):
    """A parameter in use: its definition, with its number, and whether its index is being built."""

    definition: SearchParameter
    is_building: bool


def parameters(generation: int, rows: list[Row]) -> Parameters:
    """What can be searched by with these parameters added to the standard's."""
    added: dict[str, tuple[SearchParameter, ...]] = {}
    for row in rows:
        base = row.definition.base
        added[base] = (*added.get(base, ()), row.definition)
    building = frozenset(row.definition.number for row in rows if row.is_building)
    return Parameters(added, generation, building)


def is_used(resource: Resource) -> bool:
    """Whether a valid SearchParameter is to be searched by."""
    return resource["status"] == "active" and resource["url"] not in _standard_urls()


def wanted(resource: Resource) -> tuple[SearchParameter, ...]:
    """What a SearchParameter without faults adds, for each type that it names; no numbers yet."""
    if not is_used(resource):
        return ()
    found = (_definition(resource, base) for base in _bases(resource))
    return tuple(one for one in found if not _is_of_the_standard(one))


def needs_index(definition: SearchParameter) -> bool:
    """Whether it has values of its own: a composite of what stands once on a resource has none."""
    return any(one.number == definition.number for one in _alone(definition).indexed)


def faults(resource: Resource) -> list[Issue]:
    """What keeps a valid SearchParameter from being searched by, each with its place."""
    if not is_used(resource):
        return []
    found = list(_faults_of_form(resource))
    if not found:
        for base in _bases(resource):
            found += _faults_on(resource, base)
    return list(dict.fromkeys(found))[:_FAULTS_MAX]


def _faults_of_form(resource: Resource) -> Iterator[Issue]:
    """What is wrong whatever the type."""
    if not _CODE.fullmatch(resource["code"]):
        yield _fault(
            "code",
            "A code is made of letters, digits, - and _, and begins with a letter.",
            "Mã chỉ gồm chữ, số, - và _, bắt đầu bằng chữ.",
        )
    if resource["type"] == "special":
        yield _fault(
            "type",
            "Parameters of the type special are each a program of their own.",
            "Kiểu special không dùng được cho tham số tự định nghĩa.",
            code="not-supported",
        )
    expression = resource.get("expression")
    if not expression:
        yield _fault(
            "expression",
            "Without an expression there is nothing to search in.",
            "Thiếu expression nên không có gì để tìm.",
            code="required",
        )
        return
    yield from _faults_of_size("expression", expression)
    for at, component in enumerate(resource.get("component", ())):
        yield from _faults_of_size(f"component[{at}].expression", component["expression"])


def _faults_of_size(at: str, expression: str) -> Iterator[Issue]:
    """It is not too long, and what it takes to evaluate grows no faster than the resource."""
    parts = alternatives(expression)
    if len(expression) > EXPRESSION_MAX or len(parts) > ALTERNATIVES_MAX:
        yield _fault(
            at,
            f"An expression has at most {EXPRESSION_MAX} characters and {ALTERNATIVES_MAX} parts.",
            f"Biểu thức tối đa {EXPRESSION_MAX} ký tự và {ALTERNATIVES_MAX} phần.",
            code="too-long",
        )
        return
    try:
        is_bounded = not any(map(is_costly, parts))
    except FHIRPathError as error:
        yield _of_expression(at, error)
        return
    if not is_bounded:
        yield _fault(
            at,
            f"An expression has in each part at most {WALKS_MAX} of descendants(), repeat() and"
            f" %resource, and {JOINS_MAX} of &, +, |, union() and combine().",
            f"Mỗi phần của biểu thức có tối đa {WALKS_MAX} trong số descendants(), repeat() và"
            f" %resource, và {JOINS_MAX} trong số &, +, |, union() và combine().",
            code="too-costly",
        )


def _faults_on(resource: Resource, base: str) -> Iterator[Issue]:
    """What is wrong for one of its types."""
    standard = definitions().search_parameters[base].get(resource["code"])
    definition = _definition(resource, base)
    if standard is not None and not _is_of_the_standard(definition):
        yield _fault(
            "code",
            f"{base} can be searched by {standard.code} already, with another meaning "
            f"({standard.url}); choose another code.",
            f"{base} đã có tham số {standard.code} với nghĩa khác; xin chọn mã khác.",
            code="duplicate",
        )
    elif not definition.expression:
        yield _fault(
            "expression",
            f"Nothing of the expression is about {base}.",
            f"Biểu thức không có phần nào về {base}.",
        )
    elif definition.type == "composite":
        yield from _faults_of_composite(definition)
    else:
        yield from _faults_of_values(definition)


def _faults_of_values(definition: SearchParameter) -> Iterator[Issue]:
    """The expression compiles, and each part of it leads to something of the type."""
    for path in alternatives(definition.expression or ""):
        try:
            (source,) = _alone(replace(definition, expression=path)).by_code[definition.code]
        except FHIRPathError as error:
            yield _of_expression("expression", error)
            continue
        types = sorted(source.parameter.types)
        if not any(one == "Extension" or fits(one, source.parameter) for one in types):
            what = ", ".join(types) or "nothing"
            yield _fault(
                "type",
                f"{path} yields {what}, in which a {definition.type} cannot be looked for.",
                f"{path} cho ra {what}, không tìm được theo kiểu {definition.type}.",
            )


def _faults_of_composite(definition: SearchParameter) -> Iterator[Issue]:
    """Components are parameters of the standard whose values stand where the expression leads."""
    if len(definition.components) < 2:
        yield _fault(
            "component",
            "A composite has two components at least.",
            "Tham số ghép cần ít nhất hai thành phần.",
            code="required",
        )
    unknown = [at for at, (code, _) in enumerate(definition.components) if not code]
    for at in unknown:
        yield _fault(
            f"component[{at}].definition",
            f"This is the url of no parameter of the standard that {definition.base} has.",
            f"Đây không phải url của tham số chuẩn nào của {definition.base}.",
            code="not-found",
        )
    if not unknown:
        try:
            places = list(composites.places(definition))
        except FHIRPathError as error:
            yield _of_expression("expression", error)
            return
        for path, outside, inside in places:
            yield from _faults_at(definition, path, outside, inside)


def _faults_at(
    definition: SearchParameter,
    path: str,
    outside: list[composites.Position],
    inside: list[composites.Position],
) -> Iterator[Issue]:
    by_code = STANDARD.of(definition.base).by_code
    kinds = []
    for at, code, expression in (*outside, *inside):
        start = definition.base if expression.startswith("%resource") else path
        sources = composites.sources_at(start, code, definition, by_code)
        if not sources:
            yield _fault(
                f"component[{at}].definition",
                f"The values of {code} do not stand below {start}.",
                f"Giá trị của {code} không nằm dưới {start}.",
            )
            return
        if (at, code, expression) in inside:
            kinds.append(sources[0].parameter.type)
            yield from _faults_of_component(definition, path, at, expression)
    if inside and tuple(kinds) not in _TOGETHER:
        yield _fault(
            "component",
            f"Of {path} there are several: there two codes or references are looked for together, "
            f"or a code and a quantity, not {' and '.join(kinds)}.",
            f"{path} lặp lại nhiều lần: chỉ ghép được hai mã hoặc tham chiếu, hay mã và đại lượng.",
            code="not-supported",
        )


def _faults_of_component(
    definition: SearchParameter, path: str, at: int, expression: str
) -> Iterator[Issue]:
    try:
        for branch in compile_flow(path, definition.base, definitions()).branches:
            compile_flow(expression, branch.type, definitions())
    except FHIRPathError as error:
        yield _of_expression(f"component[{at}].expression", error)


def _definition(resource: Resource, base: str) -> SearchParameter:
    codes = {one.url: one.code for one in definitions().search_parameters[base].values()}
    return SearchParameter(
        number=ADDED_FROM,
        base=base,
        code=resource["code"],
        type=resource["type"],
        expression=about(resource.get("expression", ""), base) or None,
        targets=tuple(sorted(resource.get("target", ()))),
        components=tuple(
            (codes.get(one["definition"].partition("|")[0], ""), one["expression"])
            for one in resource.get("component", ())
        ),
        url=resource["url"],
    )


def about(expression: str, base: str) -> str:
    """The parts of a union that are about the type: those that begin with its name or that of
    what all resources are, or with none; not those about other types."""
    parts = []
    for part in alternatives(expression):
        start = _START.match(part)
        if start is None or start[1] == base:
            parts.append(part)
        elif start[1] in _ABSTRACT:
            parts.append(part.replace(start[1], base, 1))
        elif start[1] not in definitions().type_number:
            is_path = start[1][0].islower() and not part.startswith("(")
            parts.append(f"{base}.{part}" if is_path else part)
    return " | ".join(parts)


def _bases(resource: Resource) -> list[str]:
    """The types it names; what it gives to all resources, it gives to each."""
    types = definitions().types
    found: dict[str, None] = {}
    for base in resource.get("base", ()):
        if base in definitions().type_number:
            found[base] = None
        for name in definitions().resource_types if base in _ABSTRACT else ():
            if base in ("Resource", types[name].parent):
                found[name] = None
    return list(found)


def _is_of_the_standard(definition: SearchParameter) -> bool:
    """Whether the standard has it, by the same code, for the same type, with the same meaning."""
    own = definitions().search_parameters[definition.base].get(definition.code)
    return own is not None and _meaning(own) == _meaning(definition)


def _meaning(definition: SearchParameter) -> tuple[object, ...]:
    paths = frozenset(alternatives(definition.expression or ""))
    return definition.type, definition.components, paths


def _alone(definition: SearchParameter) -> Searched:
    """What its type can be searched by with this one added."""
    return Parameters({definition.base: (definition,)}).of(definition.base)


@cache
def _standard_urls() -> frozenset[str]:
    by_type = definitions().search_parameters.values()
    return frozenset(one.url for of in by_type for one in of.values())


def _fault(at: str, text: str, vi: str, *, code: str = "invalid") -> Issue:
    return Issue("error", code, text, (f"SearchParameter.{at}",), vi, "search-parameter")


def _of_expression(at: str, error: FHIRPathError) -> Issue:
    return _fault(at, f"The expression: {error}.", f"Biểu thức không dùng được: {error}.")
