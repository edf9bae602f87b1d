"""What an operation is given and gives: https://hl7.org/fhir/R4/operations.html#executing

In come the query of a GET and the Parameters resource of a POST, out goes a Parameters resource:
https://hl7.org/fhir/R4/parameters.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Invalid
from ehr_server.redact import without_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MOMENTS = {"dateTime", "instant"}
_TEXTS = {"string", "code", "uri", "canonical", *_MOMENTS}
_INTEGER_MAX = 2**31 - 1  # https://hl7.org/fhir/R4/datatypes.html#integer
_NAME_MAX = 64  # characters of a name that are repeated to its sender
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Known:
    """A parameter that an operation takes: `type` is one of R4, such as `code`, `Coding` or
    `ValueSet`; `Resource` for any, `part` for what has parts of its own.

    A dateTime or instant is any text here, as a date may stand for it. `also` is a type that may
    come in its place in a Parameters resource: what an address says in a text."""

    type: str
    is_list: bool = False
    also: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """The values of parameters by name, each of the type that is known."""

    values: Mapping[str, Sequence[Any]]

    def one(self, name: str, otherwise: Any = None) -> Any:
        """Its value, or what to take otherwise."""
        return self.values[name][0] if name in self.values else otherwise

    def all(self, name: str) -> Sequence[Any]:
        """Its values, () if there are none."""
        return self.values.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self.values


def given(
    known: Mapping[str, Known],
    query: Iterable[tuple[str, str]],
    resource: Mapping[str, Any] | None,
    *,
    is_lenient: bool = False,
) -> Given:
    """The parameters of a request; a GET has no `resource`.

    Raises `Invalid`, which names the parameter: one that is not known (unless the sender prefers
    lenient handling), of another type, or twice.
    """
    values: dict[str, list[Any]] = {}
    for name, value in (*_of_query(known, query), *_of_resource(known, resource)):
        if name not in known:
            if is_lenient:
                continue
            listed, told = ", ".join(sorted(known)), without_numbers(name)[:_NAME_MAX]
            raise Invalid(
                f"The parameter {told} is not known here; known are: {listed}.",
                vi=f"Không có tham số {told} ở đây; các tham số: {listed}.",
                expression=(told,),
            )
        values.setdefault(name, []).append(value)
    for name, several in values.items():
        if len(several) > 1 and not known[name].is_list:
            raise Invalid(
                f"The parameter {name} is given more than once.",
                vi=f"Tham số {name} được gửi nhiều lần.",
                expression=(name,),
            )
    return Given(values)


def parameters(values: Iterable[tuple[str, str, Any]]) -> dict[str, Any]:
    """A Parameters resource of (name, element, value): the element is such as `valueCode`, or
    `part`, with such a list again. What is "" is left out, as no value of FHIR is empty."""
    return {"resourceType": "Parameters", "parameter": _out(values)}


def _out(values: Iterable[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": name, element: _out(value) if element == "part" else value}
        for name, element, value in values
        if value != ""
    ]


def _of_query(
    known: Mapping[str, Known], query: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, Any]]:
    for name, text in query:
        if name not in known:
            yield name, text
            continue
        yield name, _from_text(name, known[name].type, text)


def _from_text(name: str, type_: str, text: str) -> Any:
    if type_ in _MOMENTS:
        # In a URL the plus of a time zone is a space unless the sender escaped it.
        text = text.replace(" ", "+")
    if type_ in _TEXTS and text:
        return text
    if type_ == "boolean" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if type_ == "integer" and text.isdecimal() and text.isascii() and len(text) <= 10:
        number = int(text)
        if number <= _INTEGER_MAX:
            return number
    if type_ not in _TEXTS and type_ not in ("boolean", "integer"):
        raise Invalid(
            f"The parameter {name} is a {type_}: send it by POST, in a Parameters resource.",
            vi=f"Tham số {name} là {type_}: hãy gửi bằng POST, trong tài nguyên Parameters.",
            expression=(name,),
        )
    raise _mistyped(name, type_)


def _of_resource(
    known: Mapping[str, Known], resource: Mapping[str, Any] | None
) -> Iterator[tuple[str, Any]]:
    if resource is None:
        return
    several = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(several, list):
        raise Invalid(
            "The body of this operation is a Parameters resource.",
            vi="Nội dung của thao tác này là một tài nguyên Parameters.",
        )
    for one in several:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str):
            raise Invalid(
                "A parameter is an object with a name and a value.",
                vi="Mỗi tham số là một đối tượng gồm name và giá trị.",
                expression=("Parameters.parameter",),
            )
        yield name, _value(name, known[name], one) if name in known else None


def _value(name: str, of: Known, one: Mapping[str, Any]) -> Any:
    values = [value for key, value in one.items() if key not in ("name", "id", "extension")]
    is_also = len(values) == 1 and bool(of.also) and _is(of.also, values[0])
    if not is_also and (len(values) != 1 or not _is(of.type, values[0])):
        raise _mistyped(name, of.also or of.type)
    return values[0]


def _is(type_: str, value: Any) -> bool:
    if type_ in _TEXTS:
        return isinstance(value, str) and bool(value)
    if type_ == "boolean":
        return isinstance(value, bool)
    if type_ == "integer":
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return is_number and 0 <= value <= _INTEGER_MAX
    if type_ == "part":
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)
    if type_ in ("Meta", "Reference", "Identifier"):
        return isinstance(value, dict)
    if type_ == "Coding":
        return isinstance(value, dict) and _is_coding(value)
    if type_ == "CodeableConcept":
        codings = value.get("coding") if isinstance(value, dict) else None
        return isinstance(codings, list) and all(map(_is_coding, codings))
    return isinstance(value, dict) and type_ in ("Resource", value.get("resourceType"))


def _is_coding(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(key, ""), str) for key in ("system", "version", "code", "display")
    )


def _mistyped(name: str, type_: str) -> Invalid:
    return Invalid(
        f"The parameter {name} must be one value of the type {type_}.",
        vi=f"Tham số {name} phải là một giá trị kiểu {type_}.",
        expression=(name,),
    )
