"""`_include` and `_revinclude`: what comes along with what is found.

https://hl7.org/fhir/R4/search.html#revinclude
"""

from ehr_server.definitions import definitions
from ehr_server.search.criteria import references
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.query import Include
from ehr_server.search.rules import Rules

_MODIFIERS = ("", "iterate", "recurse")  # STU3 said recurse


def include(code: str, modifier: str, value: str, rules: Rules) -> Include:
    """`Observation:subject`, `Observation:subject:Patient`, `Observation:*`, `*`.

    Raises `Malformed` for what is no reference parameter of a type, and for `_revinclude=*`.
    """
    if modifier not in _MODIFIERS:
        raise Malformed(
            f"has the modifier :{modifier}; it takes :iterate alone",
            f"có bổ ngữ :{modifier}; chỉ nhận :iterate",
        )
    is_reverse, iterates = code == "_revinclude", modifier != ""
    asked = f"{code}:{modifier}={value}" if modifier else f"{code}={value}"
    if value == "*":
        if is_reverse:
            raise _too_wide()
        return Include("", (), None, iterates, False, asked)
    type_name, name, target = _parts(value)
    sources = _sources(type_name, name, rules)
    targets = {one for source in sources for one in source.targets}
    if target and all(source.targets for source in sources) and target not in targets:
        raise Malformed(
            f"goes on to {target}, to which {name} cannot refer",
            f"nối tới {target}, {name} không thể tham chiếu tới",
        )
    return Include(type_name, sources, target or None, iterates, is_reverse, asked)


def all_references(type_name: str, rules: Rules) -> tuple[Source, ...]:
    """The sources of all reference parameters of the type, each once.

    "The wild card * [...] indicating that any search parameter of type=reference be included": so
    it is not every reference in the resource.
    """
    targets: dict[Parameter, set[str] | None] = {}
    for sources in rules.parameters.of(type_name).by_code.values():
        for source in sources:
            if source.parameter.type == "reference":
                others = targets.get(source.parameter, set())
                is_any = others is None or not source.targets
                targets[source.parameter] = None if is_any else {*(others or ()), *source.targets}
    return tuple(
        Source(parameter, tuple(sorted(several or ()))) for parameter, several in targets.items()
    )


def _parts(value: str) -> tuple[str, str, str]:
    if "," in value:  # "parameters do not include multiple values"
        raise Malformed(
            "takes one value; repeat it for each", "chỉ nhận một giá trị; xin lặp lại tham số"
        )
    type_name, _, rest = value.partition(":")
    name, colon, target = rest.partition(":")
    if not name or (colon and not target) or ":" in target:
        raise Malformed(
            "must be Type:reference or Type:reference:Type, such as Observation:subject",
            "phải là Loại:tham chiếu hoặc Loại:tham chiếu:Loại, ví dụ Observation:subject",
        )
    types = definitions().type_number
    if type_name not in types or (target and target not in types):
        raise Malformed("names a type that FHIR does not have", "nêu loại tài nguyên không có")
    return type_name, name, target


def _sources(type_name: str, name: str, rules: Rules) -> tuple[Source, ...]:
    if name == "*":
        return all_references(type_name, rules)
    if name not in rules.parameters.of(type_name).by_code:
        raise Malformed(
            f"goes on from {name}, which {type_name} cannot be searched by",
            f"nối tiếp từ {name}, {type_name} không có tham số tìm kiếm này",
            is_unsupported=True,
        )
    return references(type_name, name, rules)


def _too_wide() -> Malformed:
    """The standard warns of "large parts of the system's database", and lets a server choose."""
    return Malformed(
        "is *, which would look through all types; name one, such as Observation:*",
        "là *, phải tìm trong mọi loại; xin nêu một loại, ví dụ Observation:*",
        is_unsupported=True,
    )
