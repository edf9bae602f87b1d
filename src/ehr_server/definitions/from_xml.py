"""A resource from XML: https://hl7.org/fhir/R4/xml.html

Read without trust: no document type, so no entities of one's own and nothing from elsewhere; what
the definitions do not know, or in another order, is refused with its place. Values that are of no
fit form, such as `<active value="yes"/>`, are left as texts for the validation to name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from ehr_server.definitions.model import Element, definitions
from ehr_server.definitions.primitives import PRIMITIVES
from ehr_server.definitions.to_xml import NAMESPACE
from ehr_server.errors import Invalid
from ehr_server.redact import without_numbers

_XHTML = "http://www.w3.org/1999/xhtml"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"  # xsi:schemaLocation may stand anywhere
_SEPARATOR = " "
_SPACES = " \t\r\n"
_INTEGER = re.compile("-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:[.][0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_OWN_NAMESPACE = re.compile(rb"""^<div\b[^>]*\sxmlns\s*=\s*["']http://www[.]w3[.]org/1999/xhtml""")


def from_xml(data: bytes, depth_max: int = 100) -> dict[str, Any]:
    """The resource of an XML document in UTF-8, as it stands in JSON.

    Raises `Invalid`, with the place: for what is not well formed or not of FHIR, for a document
    type, for what is nested deeper than `depth_max`.
    """
    _refuse_other_charsets(data)
    reader = _Reader(data, depth_max)
    parser = expat.ParserCreate("UTF-8", _SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    reader.offset = lambda: parser.CurrentByteIndex
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        reason = expat.ErrorString(error.code)
        raise Invalid(
            f"The body is not well-formed XML: {reason}, {place}.",
            vi=f"Nội dung không phải XML hợp lệ: {reason}, {place}.",
        ) from None
    return reader.resource


def _refuse_other_charsets(data: bytes) -> None:
    """The parser would take UTF-16 by its first bytes, whatever it is told."""
    try:
        is_utf8 = "\0" not in data.decode()
    except UnicodeDecodeError:
        is_utf8 = False
    if not is_utf8:
        raise Invalid("The body is not XML in UTF-8.", vi="Nội dung không phải XML dạng UTF-8.")


def _refuse_doctype(*_: object) -> None:
    raise Invalid(
        "A document type is not allowed in XML of FHIR; leave out <!DOCTYPE ...> and its entities.",
        vi="XML của FHIR không được có <!DOCTYPE ...>; xin bỏ phần này và các thực thể của nó.",
    )


@dataclass(slots=True)
class _Frame:
    """An element that is open: what it becomes, of which type, and where it goes."""

    key: str
    type: str
    where: str
    element: Element | None = None
    value: dict[str, Any] = field(default_factory=dict)
    plain: Any = None  # of a primitive, beside its id and extensions in `value`
    last: int = -1  # the place in the order of the element that came last
    is_holder: bool = False  # contained, or Bundle.entry.resource: one resource lies in it


class _Reader:
    """What expat tells, put together."""

    def __init__(self, data: bytes, depth_max: int) -> None:
        self.resource: dict[str, Any] = {}
        self.offset: Callable[[], int] = int
        self._data = data
        self._depth_max = depth_max
        self._open: list[_Frame] = []
        self._inside = 0  # elements of a narrative that are open
        self._from = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if self._inside:
            self._inside += 1
            return
        namespace, _, local = name.rpartition(_SEPARATOR)
        if not self._open:
            self._open.append(_resource_frame(namespace, local, local))
            return
        parent = self._open[-1]
        if len(self._open) > self._depth_max:
            raise _refused(
                parent.where,
                f"is nested more than {self._depth_max} levels deep",
                f"lồng nhau quá {self._depth_max} tầng",
            )
        if parent.is_holder:
            if parent.value:
                raise _refused(parent.where, "holds one resource", "chỉ chứa một tài nguyên")
            self._open.append(_resource_frame(namespace, local, parent.where))
            return
        frame = _frame(parent, namespace, local)
        if frame.type == "xhtml":
            self._inside, self._from = 1, self.offset()
        else:
            _take_attributes(frame, attributes)
        self._open.append(frame)

    def end(self, _name: str) -> None:
        """An element ends: it goes into the one around it."""
        if self._inside:
            self._inside -= 1
            if self._inside:
                return
        frame = self._open.pop()
        _drop_empty(frame.value)
        if frame.type == "xhtml":
            frame.plain = self._narrative(frame.where)
        if not self._open:
            self.resource = frame.value
        elif self._open[-1].is_holder:
            self._open[-1].value = frame.value
        else:
            _put(self._open[-1], frame)

    def text(self, text: str) -> None:
        """Between elements there is room for spaces alone."""
        if not self._inside and text.strip(_SPACES):
            where = self._open[-1].where if self._open else ""
            raise _refused(
                where,
                'holds text; a value stands in the attribute value=""',
                'có chữ; giá trị đặt trong thuộc tính value=""',
            )

    def _narrative(self, where: str) -> str:
        """The div as it was sent; expat tells where its last tag begins."""
        end = self._data.index(b">", self.offset()) + 1
        sent = self._data[self._from : end]
        if not _OWN_NAMESPACE.match(sent):
            raise _refused(
                where,
                f'begins <div xmlns="{_XHTML}">, without a prefix',
                f'phải bắt đầu bằng <div xmlns="{_XHTML}">, không tiền tố',
            )
        return sent.decode()


def _resource_frame(namespace: str, name: str, where: str) -> _Frame:
    if namespace != NAMESPACE or name not in definitions().type_number:
        raise Invalid(
            f'A resource is expected, such as <Patient xmlns="{NAMESPACE}">.',
            vi=f'Cần một tài nguyên, như <Patient xmlns="{NAMESPACE}">.',
            expression=(where,) if "." in where else (),
        )
    return _Frame("", name, where, value={"resourceType": name})


def _frame(parent: _Frame, namespace: str, name: str) -> _Frame:
    """The frame of an element inside another. Raises `Invalid` if it does not belong there."""
    known = _known(parent.type).get(name)
    wanted = _XHTML if known is not None and known[1] == "xhtml" else NAMESPACE
    if known is None or namespace != wanted:
        told = _told(name)
        raise _refused(
            parent.where, f"has no element {told} here", f"không có phần tử {told} ở đây"
        )
    order, kind, element = known
    if order < parent.last:
        raise _refused(
            parent.where,
            f"has its elements in a fixed order, in which {name} comes earlier",
            f"có thứ tự phần tử cố định, {name} phải đứng trước",
        )
    if order == parent.last and not element.is_list:
        raise _refused(parent.where, f"has {name} once at most", f"chỉ có một {name}")
    parent.last = order
    at = f"[{len(parent.value.get(name, ()))}]" if element.is_list else ""
    holds = kind == "Resource"
    return _Frame(name, kind, f"{parent.where}.{name}{at}", element, is_holder=holds)


@lru_cache(maxsize=1024)
def _known(type_name: str) -> Mapping[str, tuple[int, str, Element]]:
    """The elements of a type in XML: their place in the order, their type."""
    definition = definitions().types[type_name]
    return {
        key: (order, kind, element)
        for order, element in enumerate(definition.elements.values())
        for key, kind in element.json_names()
        if definition.kind == "resource" or not element.is_bare
    }


def _take_attributes(frame: _Frame, attributes: dict[str, str]) -> None:
    is_primitive = frame.type in PRIMITIVES
    second = "value" if is_primitive else "url" if frame.type == "Extension" else ""
    for name, text in attributes.items():
        if name.startswith(_INSTANCE):
            continue
        if name not in ("id", second) or frame.is_holder:
            raise _refused(
                frame.where,
                f"has no attribute {_told(name)}",
                f"không có thuộc tính {_told(name)}",
            )
        if name == "value":
            frame.plain = _plain(frame.type, text)
        else:
            frame.value[name] = text


def _told(name: str) -> str:
    return without_numbers(name)[:64]


def _plain(type_name: str, text: str) -> Any:
    """The value as JSON has it; what is of another form stays a text."""
    form = PRIMITIVES[type_name].json
    if form == "boolean" and text in ("true", "false"):
        return text == "true"
    if form in ("integer", "decimal") and _INTEGER.fullmatch(text) and abs(int(text)) < 2**63:
        return int(text)
    if form == "decimal" and _DECIMAL.fullmatch(text):
        return Decimal(text)
    return text


def _put(parent: _Frame, frame: _Frame) -> None:
    """What has ended, under its key: as one, or at the end of the list there."""
    element, holder = frame.element, parent.value
    if element is None:
        raise ValueError(frame.key)
    if frame.type not in PRIMITIVES:
        if element.is_list:
            holder.setdefault(frame.key, []).append(frame.value)
        else:
            holder[frame.key] = frame.value
        return
    shadow = f"_{frame.key}"
    if not element.is_list:
        if frame.plain is not None:
            holder[frame.key] = frame.plain
        if frame.value:
            holder[shadow] = frame.value
        return
    values = holder.setdefault(frame.key, [])
    values.append(frame.plain)
    if frame.value or shadow in holder:
        beside = holder.setdefault(shadow, [None] * (len(values) - 1))
        beside.append(frame.value or None)


def _drop_empty(value: dict[str, Any]) -> None:
    """A list of primitives that have extensions alone is not there beside them."""
    shadows = [name for name in value if name[0] == "_" and isinstance(value[name], list)]
    for name in shadows:
        if not any(one is not None for one in value[name[1:]]):
            del value[name[1:]]


def _refused(where: str, what: str, vi: str) -> Invalid:
    return Invalid(f"{where} {what}.", vi=f"{where} {vi}.", expression=(where,) if where else ())
