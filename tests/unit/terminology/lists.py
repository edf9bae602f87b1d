"""Small code systems and value sets to ask about."""

from typing import Any

from ehr_server.definitions.catalog import Catalog, artifact
from ehr_server.terminology import Terminology

ANIMALS = "http://example.org/animals"


def code_system(concepts: list[dict[str, Any]], url: str = ANIMALS, **more: Any) -> dict[str, Any]:
    head = {"resourceType": "CodeSystem", "url": url, "status": "active", "content": "complete"}
    return {**head, "caseSensitive": True, "concept": concepts, **more}


def value_set(*include: dict[str, Any], url: str = "http://example.org/set", **more: Any) -> Any:
    compose = {"include": list(include), **more}
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}


def animals(**more: Any) -> dict[str, Any]:
    """animal (abstract) > mammal > dog, cat; animal > bird; dodo (inactive) below bird."""
    concepts = [
        {
            "code": "animal",
            "property": [{"code": "notSelectable", "valueBoolean": True}],
            "concept": [
                {
                    "code": "mammal",
                    "display": "Mammal",
                    "concept": [
                        {
                            "code": "dog",
                            "display": "Dog",
                            "definition": "Barks.",
                            "designation": [{"language": "vi", "value": "Chó nhà"}],
                            "property": [{"code": "legs", "valueInteger": 4}],
                        },
                        {"code": "cat", "display": "Cat"},
                    ],
                },
                {
                    "code": "bird",
                    "display": "Bird",
                    "property": [{"code": "legs", "valueInteger": 2}],
                    "concept": [
                        {
                            "code": "dodo",
                            "display": "Dodo",
                            "property": [{"code": "inactive", "valueBoolean": True}],
                        }
                    ],
                },
            ],
        }
    ]
    return code_system(concepts, name="Animals", version="2", **more)


def terminology(*resources: dict[str, Any]) -> Terminology:
    return Terminology(Catalog().plus("test#1", [artifact(one, "test#1") for one in resources]))
