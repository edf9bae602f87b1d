"""Requests made by a seed, of all kinds that tell something of resources.

The searches are those of `law_queries`, with what shapes their answers; the ids are of resources
that are there, and of some that are not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ehr_server.definitions import definitions
from ehr_server.search.parameters import STANDARD
from properties.law_queries import Asker
from properties.law_resources import TYPES, Resource
from properties.leak_worlds import ALL_TYPES, COUNT

# What lies above or below a reference is looked up along resources that may be hidden.
_ALONG_OTHERS = re.compile(r":(above|below)=| s[sb] ")
_COMPARTMENTS = ("Patient", "Encounter", "Practitioner")


@dataclass(frozen=True)
class Asking:
    """One request: `GET Patient?name=hoa`, with a body and headers."""

    request: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Requests:
    """Makes requests about a world, most of them of the `types`."""

    def __init__(
        self, chance: random.Random, resources: Sequence[Resource], types: Sequence[str]
    ) -> None:
        self._chance = chance
        self._resources = resources
        self._types = types or ALL_TYPES
        of_law = [one for one in resources if one["resourceType"] in TYPES]
        self._asker = Asker(chance, of_law)

    def reads(self, count: int) -> Iterator[Asking]:
        """So many that change nothing."""
        makers: tuple[Callable[[], Asking], ...] = (
            *(self._search,) * 10, *(self._shaped,) * 6, self._compartment, self._history,
            self._everything, self._lastn, self._match, self._meta, self._document,
            self._validate, self._system, self._batch, self._view, self._read,
        )  # fmt: skip
        for _ in range(count):
            yield self._chance.choice(makers)()

    def writes(self, count: int) -> Iterator[Asking]:
        """So many that may change something."""
        makers: tuple[Callable[[], Asking], ...] = (
            self._create, self._create_conditional, self._update_conditional,
            self._patch, self._patch_conditional, self._delete_conditional, self._transaction,
            self._labels, self._merge, self._purge,
        )  # fmt: skip
        for _ in range(count):
            yield self._chance.choice(makers)()

    def _type(self) -> str:
        return self._chance.choice(self._types if self._chance.random() < 0.9 else ALL_TYPES)

    def _id(self) -> str:
        return f"r{self._chance.randrange(COUNT + 1)}"

    def _one(self) -> str:
        return f"{self._type()}/{self._id()}"

    def _address(self) -> str:
        searched = [one for one in self._types if one in TYPES] or TYPES
        while True:
            type_name = self._chance.choice(searched)
            (found,) = self._asker.mixed(type_name, 1)
            if not _ALONG_OTHERS.search(found):
                return found

    def _search(self) -> Asking:
        return Asking(f"GET {self._address()}")

    def _shaped(self) -> Asking:
        """A search, or all of a type, with what comes along, sorted and counted."""
        chance = self._chance
        address = self._address() if chance.random() < 0.4 else f"{self._type()}?"
        type_name = address.partition("?")[0]
        shapes = [
            lambda: ("_sort", chance.choice(("", "-")) + self._code(type_name)),
            lambda: ("_include", self._include(type_name)),
            lambda: ("_include:iterate", self._include(self._type())),
            lambda: ("_revinclude", self._include(self._type())),
            lambda: ("_revinclude:iterate", self._include(self._type())),
            lambda: ("_total", chance.choice(("accurate", "estimate", "none"))),
            lambda: ("_summary", chance.choice(("count", "true", "data"))),
            lambda: ("_count", chance.choice(("0", "1", "2", "50"))),
            lambda: ("_elements", "id,status"),
            lambda: ("_list", self._id()),
        ]
        pairs = [chance.choice(shapes)() for _ in range(chance.randint(1, 3))]
        asked = "&".join(f"{name}={quote(value)}" for name, value in dict(pairs).items())
        return Asking(f"GET {address.rstrip('&')}&{asked}".replace("?&", "?"))

    def _code(self, type_name: str) -> str:
        return self._chance.choice(sorted(STANDARD.of(type_name).by_code))

    def _include(self, type_name: str) -> str:
        if self._chance.random() < 0.3:
            return "*"
        found = [
            code
            for code, sources in STANDARD.of(type_name).by_code.items()
            if sources[0].parameter.type == "reference"
        ]
        return f"{type_name}:{self._chance.choice(found)}" if found else "*"

    def _compartment(self) -> Asking:
        kind = self._chance.choice(_COMPARTMENTS)
        inside = [one for one in ALL_TYPES if definitions().compartments[kind].get(one)]
        member = self._chance.choice(["*", *inside])
        total = self._chance.choice(("", "?_total=accurate", "?_summary=count"))
        return Asking(f"GET {kind}/{self._id()}/{member}{total}")

    def _system(self) -> Asking:
        types = ",".join(self._chance.sample(ALL_TYPES, 3))
        more = self._chance.choice(("", "&_total=accurate", f"&_id={self._id()}", "&_count=2"))
        return Asking(f"GET ?_type={types}{more}")

    def _read(self) -> Asking:
        return Asking(f"GET {self._one()}", headers={"if_none_match": 'W/"1"'})

    def _history(self) -> Asking:
        more = self._chance.choice(("", "?_count=1", "/1", "/2", "/3"))
        return Asking(f"GET {self._one()}/_history{more}")

    def _everything(self) -> Asking:
        kind = self._chance.choice(("Patient", "Patient", "Encounter"))
        more = self._chance.choice(("", "?_count=3", "?_type=Observation,Condition"))
        return Asking(f"GET {kind}/{self._id()}/$everything{more}")

    def _lastn(self) -> Asking:
        code = self._chance.choice(("code=718-7", "category=laboratory", "code:not=x"))
        return Asking(f"GET Observation/$lastn?patient={self._id()}&{code}&max=2")

    def _match(self) -> Asking:
        patients = [one for one in self._resources if one["resourceType"] == "Patient"]
        body = {k: v for k, v in self._chance.choice(patients).items() if k != "id"}
        return Asking("POST Patient/$match", body)

    def _meta(self) -> Asking:
        where = self._chance.choice(("", f"{self._type()}/", f"{self._one()}/"))
        version = self._chance.choice(("", "", "_history/1/")) if where.count("/") == 2 else ""
        return Asking(f"GET {where}{version}$meta")

    def _document(self) -> Asking:
        return Asking(f"GET Composition/{self._id()}/$document")

    def _validate(self) -> Asking:
        mode = self._chance.choice(("", "?mode=delete"))
        method = "POST" if mode else "GET"
        return Asking(f"{method} {self._one()}/$validate{mode}")

    def _view(self) -> Asking:
        view = {
            "resourceType": "ViewDefinition",
            "resource": self._type(),
            "select": [{"column": [{"name": "id", "path": "id"}]}],
        }
        return Asking("POST $viewdefinition-run?_format=csv", view)

    def _batch(self) -> Asking:
        entries = [
            {"request": {"method": "GET", "url": url}}
            for url in (self._one(), self._address(), f"{self._one()}/_history")
        ]
        kind = self._chance.choice(("batch", "transaction"))
        return Asking("POST /", {"resourceType": "Bundle", "type": kind, "entry": entries})

    def _observation(self) -> Resource:
        about = {"reference": self._chance.choice((f"Patient/{self._id()}", self._conditional()))}
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": about,
            "focus": [{"reference": self._one()}],
            "encounter": {"reference": f"Encounter/{self._id()}"},
        }

    def _conditional(self) -> str:
        return f"Patient?_id={self._id()}"

    def _criteria(self, type_name: str) -> str:
        if self._chance.random() < 0.5:
            return f"_id={self._id()}"
        while True:
            (found,) = self._asker.mixed(type_name, 1)
            if not _ALONG_OTHERS.search(found):
                return found.partition("?")[2]

    def _create(self) -> Asking:
        resource = self._observation()
        resource["subject"] = {"reference": f"Patient/{self._id()}"}
        return Asking("POST Observation", resource)

    def _create_conditional(self) -> Asking:
        resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        return Asking(
            "POST Observation", resource, {"if_none_exist": self._criteria("Observation")}
        )

    def _update_conditional(self) -> Asking:
        resource = {"resourceType": "Observation", "status": "final", "code": {"text": "y"}}
        return Asking(f"PUT Observation?{self._criteria('Observation')}", resource)

    def _patched(self, where: str) -> Asking:
        test = {"op": "test", "path": "/status", "value": "final"}
        body = [test, {"op": "add", "path": "/language", "value": "vi"}]
        headers = {"content_type": "application/json-patch+json"}
        if self._chance.random() < 0.3:
            headers["if_match"] = f'W/"{self._chance.choice((1, 2))}"'
        return Asking(f"PATCH {where}", body, headers)

    def _patch(self) -> Asking:
        return self._patched(self._one())

    def _patch_conditional(self) -> Asking:
        type_name = self._chance.choice(TYPES)
        return self._patched(f"{type_name}?{self._criteria(type_name)}")

    def _delete_conditional(self) -> Asking:
        type_name = self._chance.choice(TYPES)
        headers = {"if_match": 'W/"1"'} if self._chance.random() < 0.3 else {}
        return Asking(f"DELETE {type_name}?{self._criteria(type_name)}", None, headers)

    def _labels(self) -> Asking:
        meta = {"name": "meta", "valueMeta": {"tag": [{"code": "z"}]}}
        body = {"resourceType": "Parameters", "parameter": [meta]}
        return Asking(f"POST {self._one()}/$meta-add", body)

    def _merge(self) -> Asking:
        """Most often not carried out: a preview, or one that cannot be."""
        kind = self._chance.choice(("merge", "unmerge"))
        roles = [(f"{one}-patient", f"Patient/{self._id()}") for one in ("source", "target")]
        named = [{"name": one, "valueReference": {"reference": id_}} for one, id_ in roles]
        parameters = [*named, {"name": "preview", "valueBoolean": True}]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return Asking(f"POST Patient/${kind}", body)

    def _purge(self) -> Asking:
        id_ = self._id()
        return Asking(f"POST Patient/{id_}/$purge?reason=x&confirm={id_}&dry-run=true")

    def _transaction(self) -> Asking:
        entries = [
            {"request": {"method": "POST", "url": "Observation"}, "resource": self._observation()},
            {"request": {"method": "GET", "url": self._one()}},
        ]
        return Asking("POST /", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
