"""What holds of views of every type: a view of all elements is what the JSON holds.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet
import pytest

from ehr_server.definitions import PRIMITIVES, Element, definitions
from ehr_server.fhir import json
from ehr_server.views.view import View, view
from ehr_server.views.writers import Shape, pieces
from properties.gate_resources import made

_SEEDS = range(3)


def _keys(type_name: str) -> list[tuple[str, str, str]]:
    """The JSON names of the elements of a type, each with its path and type."""
    found = []
    for element in definitions().types[type_name].elements.values():
        for key, kind in element.json_names():
            path = f"{element.name}.ofType({kind})" if element.is_choice else _named(element)
            found.append((key, path, kind))
    return found


def _named(element: Element) -> str:
    """A name that is a word of FHIRPath too stands in backticks."""
    return f"`{element.name}`"


def _whole(type_name: str) -> View:
    """A view of all elements of a type, each a collection."""
    columns = [
        {"name": key, "path": path, "type": kind, "collection": True}
        for key, path, kind in _keys(type_name)
    ]
    return view({"resource": type_name, "select": [{"column": columns}]})


def _held(resource: dict[str, Any], key: str) -> list[Any]:
    """What the JSON has there. Of a choice ofType(uri) is canonical too, which is a kind of uri."""
    value = resource.get(key)
    if key == "moduleUri":
        value = resource.get(key, resource.get("moduleCanonical"))
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


@pytest.mark.parametrize("type_name", definitions().resource_types)
def test_a_view_of_all_elements_holds_what_the_resource_holds(type_name: str) -> None:
    whole = _whole(type_name)
    for seed in _SEEDS:
        resource = json.read_stored(json.write(made(type_name, seed)))
        (row,) = whole.rows([resource])
        for column, values in zip(whole.columns, row, strict=True):
            assert values == _held(resource, column.name), column.name


@pytest.mark.parametrize("type_name", definitions().resource_types[::7])
def test_every_format_takes_whatever_a_resource_holds(type_name: str) -> None:
    whole = _whole(type_name)
    resources = [made(type_name, seed) for seed in _SEEDS]
    lines = b"".join(pieces(Shape(whole.columns, "ndjson"), whole.rows(resources))).splitlines()
    texts = [json.read_stored(line) for line in lines]
    table = b"".join(pieces(Shape(whole.columns, "parquet"), whole.rows(resources)))
    rows = pyarrow.parquet.read_table(io.BytesIO(table)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        for column in whole.columns:
            assert len(row[column.name]) == len(text[column.name])
            if column.type in PRIMITIVES and column.form in ("text", "boolean"):
                assert row[column.name] == text[column.name]
