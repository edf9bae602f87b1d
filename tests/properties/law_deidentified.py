"""Resources that tell all of a person in every place where a text, a number or a date may stand."""

from typing import Any

from ehr_server.definitions import definitions
from ehr_server.fhir import json
from properties.gate_resources import made

BORN = "1985-03-14"
SECRETS = (
    *("trần", "kimngan", "0912345678", "079185001234", "secret-77", "hàngbạc", "hospital.example"),
    *("viêmganbí", "kimngan@", "1985-03-14", "a2ltbmdhbg=="),
)
_TEXT = "Trần Thị Kimngan, 12 HàngBạc, 0912345678, kimngan@mail.example, viêmganbí, 079185001234"
_TOLD: dict[str, Any] = {
    **dict.fromkeys(("string", "markdown"), _TEXT),
    **dict.fromkeys(("uri", "url", "canonical"), "https://hospital.example/Patient/secret-77"),
    "xhtml": f'<div xmlns="http://www.w3.org/1999/xhtml">{_TEXT}</div>',
    "id": "secret-77",
    "oid": "urn:oid:1.2.0912345678",
    "uuid": "urn:uuid:09123456-7800-4000-8000-079185001234",
    "base64Binary": "a2ltbmdhbg==",
    "date": BORN,
    "dateTime": BORN + "T03:14:15+07:00",
    "instant": BORN + "T03:14:15+07:00",
    "positiveInt": 5,
}
_NUMBERS = {"value": "079185001234", "system": "http://fhir.hl7.org.vn/core/sid/cccd"}


def telling(type_name: str, seed: int) -> dict[str, Any]:
    """A resource of the type that tells of the person wherever its datatypes let it."""
    resource = made(type_name, seed)
    found: dict[str, Any] = json.read(json.write(_of(resource, type_name)))
    return {"resourceType": type_name, "id": "secret-77", **found}


def _of(value: Any, type_name: str) -> Any:
    if isinstance(value, list):
        return [_of(one, type_name) for one in value]
    if type_name == "Resource":
        type_name = value["resourceType"]
    of = definitions().types[type_name]
    if of.kind == "primitive":
        # An unbound code is a word of some list: a name may stand there, a number of somebody not.
        return _TOLD.get(type_name, value)
    found: dict[str, Any] = {}
    for element in of.elements.values():
        for name, inner in element.json_names():
            if name in value and name not in ("implicitRules", "modifierExtension"):
                is_code = inner == "code" and not element.binding
                found[name] = "0912345678" if is_code else _of(value[name], inner)
            if f"_{name}" in value and not element.is_list:
                found[f"_{name}"] = _of(value[f"_{name}"], "Element")
    if type_name == "Resource" or of.kind == "resource":
        found["resourceType"] = type_name
    return found | _also(type_name)


def _also(type_name: str) -> dict[str, Any]:
    if type_name == "Identifier":
        return _NUMBERS
    if type_name == "Reference":
        return {"reference": "Patient/secret-77"}
    if type_name == "Extension":
        return {"url": "https://hospital.example/kimngan"}
    return {}
