"""A server without a socket: requests are answered in this process, by the routes and the database
of a real one. For tests that ask so much that a connection for each would be most of their time.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.access.policies import policies
from ehr_server.access.principal import Principal
from ehr_server.app import open_dispatch
from ehr_server.call import Answer, Request
from ehr_server.fhir import json
from ehr_server.packages.searchable import Searchable
from ehr_server.rest.dispatch import Dispatch
from ehr_server.rest.routes import INTERACTIONS, RouteTable, found_operations
from ehr_server.settings import read_settings
from ehr_server.store.connect import Store
from ehr_server.validation.rulebook import Rulebook

HERE = "http://here/fhir"
_JSON = ("application/fhir+json", "application/json")
EVERYTHING = ("system/*.cruds",)


@dataclass(frozen=True)
class Told:
    """An answer, its body read whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    content_type: str

    @property
    def resource(self) -> Any:
        """The body, where it is a resource."""
        is_json = self.content_type.partition(";")[0] in _JSON
        return json.read(self.body) if self.body and is_json else None


class Inside:
    """A server whose requests are made here; `store` is its hold on the database."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.store = dispatch.store

    def ask(self, caller: Caller, asked: str, body: Any = None, **headers: str) -> Told:
        """The answer to `GET Patient?name=hoa`; a header's name has `_` in place of `-`."""
        method, _, address = asked.partition(" ")
        path, _, query = address.partition("?")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("content-type", "application/fhir+json")
        request = Request(
            method,
            tuple(unquote(part) for part in path.split("/") if part),
            tuple(parse_qsl(query, keep_blank_values=True)),
            sent,
            b"" if body is None else json.write(body),
        )
        return _told(self.dispatch.answer(request, caller.anew(), HERE))

    def put(self, *resources: dict[str, Any], by: Caller = LOOPBACK) -> None:
        """Store the resources under their ids, all or none."""
        entries = [
            {
                "resource": one,
                "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
            }
            for one in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self.ask(by, "POST ", bundle)
        assert answer.status == 200, answer.body

    def versions(self) -> int:
        """How many versions of resources are stored, deletions among them, and how many jobs."""
        counted = "select (select count(*) from version) + (select count(*) from job)"
        with self.store.connection() as connection:
            ((count,),) = connection.execute(counted).fetchall()
        return int(count)


def caller(client: str, scopes: tuple[str, ...] = EVERYTHING, **facts: Any) -> Caller:
    """The program that has a token of these facts (`access.principal`)."""
    return Caller(client, Principal(client, client, scopes=scopes, **facts))


@contextmanager
def inside(database: str, by: Rulebook | None = None, **settings: str) -> Iterator[Inside]:
    """A server on the database for as long as the block; `settings` as in `servers.serving`. A
    rulebook that is given is shared, and nothing that is loaded is followed."""
    variables = {f"EHR_{name.upper()}": value for name, value in settings.items()}
    variables["EHR_DATABASE_URL"] = database
    given = read_settings(environment=variables, env_file=Path("/no/such/file"))
    with ExitStack() as opened:
        store = Store(database, pool_size=4)
        opened.callback(store.close)
        if by is None:
            yield Inside(open_dispatch(store, given, opened))
            return
        table = RouteTable((*INTERACTIONS, *found_operations()))
        known = policies(given.policies_dir)
        yield Inside(Dispatch(store, given, table, lambda: by, Searchable(), known))


def _told(answer: Answer) -> Told:
    body = answer.body
    if body is None:
        body = b""
    elif not isinstance(body, bytes):
        body = b"".join(body.pieces)
    return Told(answer.status, body, answer.headers, answer.content_type)
