"""What a composite parameter is made of, place by place.

https://hl7.org/fhir/R4/search.html#combining. `code-value-quantity` stands on the resource itself,
which has one code and one value: each is asked for by itself. Of components there are several, and
both must be met by the same one: what stands beside one another there is indexed together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.search.parameter import Context, Parameter, Part, hashed_name
from ehr_server.search.paths import alternatives

if TYPE_CHECKING:
    from ehr_server.definitions import SearchParameter
    from ehr_server.search.parameter import Source

Position = tuple[int, str, str]  # place in the composite, code of the parameter, expression


def is_repeated(path: str, base: str) -> bool:
    """Whether a resource may have several of what the path leads to."""
    flow = compile_flow(path, base, definitions())
    return any(branch.is_list for branch in flow.branches)


def places(definition: SearchParameter) -> Iterator[tuple[str, list[Position], list[Position]]]:
    """Each path of the composite with its components outside and inside of what is repeated."""
    positions = [
        (at, code, expression) for at, (code, expression) in enumerate(definition.components)
    ]
    for path in alternatives(definition.expression or ""):
        if not is_repeated(path, definition.base):
            yield path, positions, []
            continue
        outside = [one for one in positions if one[2].startswith("%resource")]
        yield path, outside, [one for one in positions if one not in outside]


def sources_at(
    path: str, code: str, definition: SearchParameter, by_code: Mapping[str, tuple[Source, ...]]
) -> tuple[Source, ...]:
    """The sources of a component's parameter that lie at the path, not at a longer one."""
    longer = [
        other
        for other in alternatives(definition.expression or "")
        if len(other) > len(path) and other.startswith(path)
    ]
    return tuple(
        source
        for source in by_code[code]
        if all(is_below(own, path) for own in source.parameter.paths)
        and not any(is_below(own, other) for own in source.parameter.paths for other in longer)
    )


def is_below(own: str, path: str) -> bool:
    """Whether a parameter's path begins with the path."""
    return re.match(re.escape(path) + r"\b", own.lstrip("(")) is not None


def contexts(
    definition: SearchParameter, by_code: Mapping[str, tuple[Source, ...]]
) -> tuple[Context, ...]:
    """Where the components of a composite stand together."""
    found = []
    for path, outside, inside in places(definition):
        own = tuple(
            (at, sources_at(_start(path, expression), code, definition, by_code))
            for at, code, expression in outside
        )
        named = {code: sources_at(path, code, definition, by_code) for _, code, _ in inside}
        parts = tuple(
            Part(_read_as(f"{path}.{expression}", code, named), expression)
            for _, code, expression in inside
        )
        together = _composite(definition, path, parts) if parts else None
        found.append(Context(own, tuple(at for at, _, _ in inside), together))
    return tuple(found)


def _read_as(path: str, code: str, named: Mapping[str, tuple[Source, ...]]) -> Parameter:
    """The parameter of a component: the one named, unless another of the composite reads just
    that path (the two of DocumentReference `relationship` are named the wrong way round)."""
    for several in named.values():
        for source in several:
            if source.parameter.paths == (path,):
                return source.parameter
    return named[code][0].parameter


def _start(path: str, expression: str) -> str:
    """`%resource.x` begins at the resource, whatever the composite's path."""
    return path.partition(".")[0] if expression.startswith("%resource") else path


def _composite(definition: SearchParameter, path: str, parts: tuple[Part, ...]) -> Parameter:
    return Parameter(
        definition.number,
        definition.base,
        definition.code,
        definition.type,
        hashed_name(definition),
        (path,),
        frozenset(),
        parts=parts,
    )


def written_by(composites_of: Mapping[str, tuple[Context, ...]]) -> set[Parameter]:
    """The quantities that stand beside a code wherever they stand: the composite writes them."""
    found = set()
    for several in composites_of.values():
        for inside in (context.inside for context in several if context.inside):
            kinds = [part.parameter.type for part in inside.parts]
            if kinds == ["token", "quantity"]:
                last = inside.parts[-1].parameter
                if all(is_below(own, inside.paths[0]) for own in last.paths):
                    found.add(last)
    return found
