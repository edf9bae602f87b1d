"""/metadata: what the server can do, read off the route table and the definitions.

https://hl7.org/fhir/R4/http.html#capabilities, https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import ehr_server
from ehr_server.admission.addresses import TOKEN_PATH, beside
from ehr_server.call import Answer, Call, Route
from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import Catalog
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.interactions.patch import FORMATS
from ehr_server.search.criteria import SPECIAL
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.search.rules import ALL
from ehr_server.search.types import fulltext

_PUBLISHED = "2026-11-22"  # of this form of the statement
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_STANDARD = "hl7.fhir.r4.core#"
_SYSTEM = {
    "transaction": ("transaction", "batch"),
    "history-system": ("history-system",),
    "search-system": ("search-system",),
}


def capabilities(call: Call) -> Answer:
    """The CapabilityStatement; other modes than `full` are refused."""
    mode = dict(call.request.query).get("mode", "full")
    if mode != "full":
        raise Invalid(
            "The only mode of the CapabilityStatement is full.",
            vi="CapabilityStatement chỉ có mode full.",
        )
    guides = guides_of(call.means.rulebook.catalog)
    rules, routes = call.means.rules, tuple(call.routes.rows())
    by = Searching(rules.parameters, rules.full_text)
    settings = call.settings
    has = Has(
        by, settings.conditional_delete_max, bool(settings.origins), settings.auth == "required"
    )
    return Answer(200, _written(call.base_url, routes, guides, has))


@dataclass(frozen=True, slots=True)
class Guides:
    """What is loaded beyond the standard: guides as `url|version`, (type, url) of profiles."""

    guides: tuple[str, ...] = ()
    profiles: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=1)  # a process has one catalog at a time
def guides_of(catalog: Catalog) -> Guides:
    """The guides and the profiles on resources that the catalog holds, the standard's left out."""
    found = {
        (one.resource()["type"], one.url)
        for one in catalog.all("StructureDefinition")
        if not one.package.startswith(_STANDARD) and one.resource()["kind"] == "resource"
        if one.resource().get("derivation") == "constraint"
    }
    guides = {
        f"{one.url}|{one.version}" if one.version else one.url
        for one in catalog.all("ImplementationGuide")
    }
    return Guides(tuple(sorted(guides)), tuple(sorted(found)))


@lru_cache(maxsize=8)
def _written(base_url: str, routes: tuple[Route, ...], guides: Guides, has: "Has") -> bytes:
    return json.write(statement(base_url, routes, guides, has))


@dataclass(frozen=True, slots=True)
class Searching:
    """What can be searched by: parameters, and the types whose words are kept for `_text`."""

    parameters: Parameters = STANDARD
    full_text: frozenset[str] = frozenset((ALL,))


@dataclass(frozen=True, slots=True)
class Has:
    """What the settings give: what is searched by, how many one conditional delete may delete,
    whether pages of other origins are answered, whether a token is asked for."""

    searching: Searching = field(default_factory=Searching)
    deletes: int = 1
    cors: bool = False
    tokens: bool = False


EVERYTHING = Has()

# What no element of a CapabilityStatement is for.
_DOCUMENTATION = (
    "X-Provenance (https://hl7.org/fhir/R4/provenance.html#header) is taken with every create, "
    "update, patch and delete, and with transactions and batches."
)


def statement(
    base_url: str, routes: Sequence[Route], guides: Guides, has: Has = EVERYTHING
) -> dict[str, Any]:
    """The CapabilityStatement of a server at `base_url` with these routes, guides and search
    parameters."""
    operations = _operations(routes)
    profiles: defaultdict[str, list[str]] = defaultdict(list)
    for type_name, url in guides.profiles:
        profiles[type_name].append(url)
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": _DOCUMENTATION,
        "security": {"cors": has.cors, **(_smart(base_url) if has.tokens else {})},
        "resource": [
            _resource(type_name, routes, operations[type_name], profiles[type_name])
            | _searching(type_name, has.searching)
            | {"conditionalDelete": "single" if has.deletes == 1 else "multiple"}
            for type_name in definitions().resource_types
        ],
        "interaction": [
            {"code": code}
            for code in dict.fromkeys(
                code for route in routes for code in _SYSTEM.get(route.interaction, ())
            )
        ],
        "compartment": [
            f"http://hl7.org/fhir/CompartmentDefinition/{name.lower()}"
            for name in sorted(definitions().compartments)
        ],
    }
    if operations[""]:
        rest["operation"] = operations[""]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _PUBLISHED,
        "kind": "instance",
        "software": {"name": "ehr-server", "version": ehr_server.__version__},
        "implementation": {"description": "ehr-server", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json", "xml", "application/fhir+xml"],
        "patchFormat": list(FORMATS),
        **({"implementationGuide": guides.guides} if guides.guides else {}),
        "rest": [rest],
    }


def _smart(base_url: str) -> dict[str, Any]:
    """https://hl7.org/fhir/smart-app-launch/conformance.html: the whole of it stands in the
    discovery document; older clients look here."""
    token = {"url": "token", "valueUri": beside(base_url, TOKEN_PATH)}
    return {
        "extension": [{"url": _OAUTH_URIS, "extension": [token]}],
        "service": [{"coding": [{"system": _SECURITY, "code": "SMART-on-FHIR"}]}],
        "description": f"OAuth 2.0: {base_url}/.well-known/smart-configuration",
    }


def _resource(
    type_name: str,
    routes: Sequence[Route],
    operations: list[dict[str, str]],
    profiles: list[str],
) -> dict[str, Any]:
    codes = dict.fromkeys(
        route.interaction
        for route in routes
        if route.pattern.startswith("{type}") and route.interaction != "search-compartment"
    )
    resource: dict[str, Any] = {
        "type": type_name,
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "referencePolicy": ["literal", "logical", "local", "enforced"],
    }
    if profiles:
        resource["supportedProfile"] = profiles
    if operations:
        resource["operation"] = operations
    return resource


def _searching(type_name: str, by: Searching) -> dict[str, Any]:
    here = by.parameters.of(type_name)
    without = fulltext.CODES if by.full_text.isdisjoint((type_name, ALL)) else ()
    return {
        "searchInclude": [
            f"{type_name}:{code}"
            for code, sources in sorted(here.by_code.items())
            if sources[0].parameter.type == "reference"
        ],
        "searchParam": [
            {"name": code, "definition": parameter.url, "type": parameter.type}
            for code, parameter in sorted(by.parameters.definitions(type_name).items())
            if code in here.by_code or code in here.composites or code in SPECIAL
            if code not in without
        ],
    }


def _operations(routes: Sequence[Route]) -> defaultdict[str, list[dict[str, str]]]:
    """By type ("" for the system) the operations that start there."""
    found: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for route in routes:
        *before, last = route.pattern.split("/")
        if not last.startswith("$"):
            continue
        level = before[0] if before else ""
        row = {"name": last[1:], "definition": route.interaction}
        for type_name in definitions().resource_types if level == "{type}" else (level,):
            if row not in found[type_name]:  # by GET and by POST, of a type and of an instance
                found[type_name].append(row)
    return found
