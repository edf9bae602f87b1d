"""The parameters of an operation: in its address, or in a Parameters resource that is posted.

https://hl7.org/fhir/R4/operations.html#request, https://hl7.org/fhir/R4/parameters.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Invalid
from ehr_server.search.parse import PRESENTATION

if TYPE_CHECKING:
    from ehr_server.call import Call

Given = tuple[str, Any]  # a name with a text, or with a resource


def in_address(call: Call, known: Collection[str]) -> Iterator[Given]:
    """What the address says. Raises `Invalid` that names a parameter which is not `known`, unless
    the sender prefers lenient handling."""
    for name, value in call.request.query:
        if name in known:
            yield name, value
        elif name not in PRESENTATION and call.request.preference("handling") != "lenient":
            raise _unknown(name, known)


def in_resource(resource: dict[str, Any], known: Collection[str]) -> Iterator[Given]:
    """What a Parameters resource says: texts, instants and the like as texts, and resources.

    Raises `Invalid` where it says nothing that can be understood.
    """
    several = resource.get("parameter", [])
    for at, one in enumerate(several if isinstance(several, list) else [None]):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or name not in known:
            raise _unknown(str(name), known)
        values = [value for key, value in one.items() if key == "resource" or key[:5] == "value"]
        if len(values) != 1 or not isinstance(values[0], dict if "resource" in one else str):
            raise Invalid(
                f"The parameter {name} has one value, a text or a resource.",
                vi=f"Tham số {name} có đúng một giá trị, là chữ hoặc tài nguyên.",
                expression=(f"Parameters.parameter[{at}]",),
            )
        yield name, values[0]


def _unknown(name: str, known: Collection[str]) -> Invalid:
    return Invalid(
        f"There is no parameter {name[:64]} here, only {', '.join(known)}.",
        vi=f"Không có tham số {name[:64]} ở đây, chỉ có {', '.join(known)}.",
    )
