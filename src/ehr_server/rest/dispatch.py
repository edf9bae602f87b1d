"""From a request to an answer: the deed, or the outcome that says why not."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ehr_server import clock, sealing
from ehr_server.access.caller import Caller
from ehr_server.access.entitled import entitled
from ehr_server.access.policies import Policy
from ehr_server.call import Answer, Call, Request, Route
from ehr_server.changes.change import InForce, Means, means
from ehr_server.errors import Overtaken, Refusal
from ehr_server.fhir import json
from ehr_server.fhir.outcome import Language, issues_of, operation_outcome
from ehr_server.issue import Issue
from ehr_server.operations.deferred import defer, is_deferred
from ehr_server.packages.searchable import Searchable
from ehr_server.rest.gate import admitted
from ehr_server.rest.options import options
from ehr_server.rest.routes import RouteTable
from ehr_server.search.private import SEALED, revealed
from ehr_server.search.unready import Unready
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.search_parameters import percent
from ehr_server.validation.rulebook import Rulebook

log = logging.getLogger(__name__)

_ATTEMPTS_MAX = 10

_FAILED_READ = Issue(
    "fatal",
    "exception",
    "The server failed. The failure is in its log.",
    vi="Máy chủ gặp lỗi. Lỗi đã được ghi lại.",
)
_FAILED = Issue(  # before the commit, as a rule; but nobody can be sure
    "fatal",
    "exception",
    "The server failed; whether anything was stored is not known: look, or send it again with the "
    "same Idempotency-Key. The failure is in the log of the server.",
    vi="Máy chủ gặp lỗi; chưa rõ đã lưu hay chưa: hãy kiểm tra, hoặc gửi lại với cùng "
    "Idempotency-Key. Lỗi đã được ghi lại.",
)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What one process answers with; made once, used by every request."""

    store: Store
    settings: Settings
    table: RouteTable
    rulebook: Callable[[], Rulebook]  # the one in force: loading a package makes a new one
    searchable: Searchable
    policies: Mapping[str, Policy] = field(default_factory=dict)

    def answer(self, request: Request, caller: Caller, base_url: str) -> Answer:
        """The answer to a request from the socket, refusals and failures included."""
        in_force = InForce(self.rulebook(), self.searchable)
        given = means(self.store, self.settings, in_force, caller, base_url)
        try:
            caller = entitled(caller, self.policies, self.store, given.rules)
        except Refusal as refusal:
            return refused(refusal, request.language(self.settings.language))
        return _Session(self, replace(given, caller=caller)).answer(request)


@dataclass(frozen=True, slots=True)
class _Session:
    """The routes as one caller's deeds see them."""

    dispatch: Dispatch
    means: Means

    def match(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        route, parts = self.dispatch.table.match(request)
        admitted(route, parts, self.means.caller)
        return route, parts

    def rows(self) -> tuple[Route, ...]:
        return tuple(self.dispatch.table.rows())

    def answer(self, request: Request) -> Answer:
        try:
            return self._done(request)
        except Refusal as refusal:
            return refused(refusal, request.language(self.dispatch.settings.language))
        except Exception:
            log.exception("%s %s failed", request.method, "/".join(request.path[:1]))
            issue = _FAILED_READ if request.method in ("GET", "HEAD") else _FAILED
            return _outcome(500, (issue,), request.language(self.dispatch.settings.language))

    def _done(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return options(self.dispatch.table, request)
        request = _unsealed(request, self.means.store)
        route, parts = self.dispatch.table.match(request)
        caller, settings = admitted(route, parts, self.means.caller), self.dispatch.settings
        means = replace(self.means, caller=caller)
        call = Call(request, parts, means.caller, means.store, means, settings, self)
        try:
            return defer(call) if is_deferred(route, request) else _run(route, call)
        except Unready as refusal:
            with means.store.connection() as connection:
                done = percent(connection, refusal.type_name, refusal.parameter_code)
            raise refusal.told(done) from refusal


def _unsealed(request: Request, store: Store) -> Request:
    """The request with the parameters that a link of ours had sealed. Raises `Invalid`."""
    if all(name != SEALED for name, _ in request.query):
        return request
    query, private = revealed(request.query, request.path, store.secret(sealing.KEY))
    return replace(request, query=query, private=(*request.private, *private))


def _run(route: Route, call: Call) -> Answer:
    """The deed, again where another request was faster: it starts from what was sent."""
    for attempt in range(_ATTEMPTS_MAX - 1):
        try:
            return route.deed(call)
        except Overtaken:
            clock.wait_a_moment(attempt)
    return route.deed(call)


def refused(refusal: Refusal, spoken: Language) -> Answer:
    """A refusal as the sender gets it: the one place where errors become OperationOutcomes."""
    return _outcome(refusal.status, issues_of(refusal), spoken, refusal.headers)


def _outcome(
    status: int,
    issues: tuple[Issue, ...],
    spoken: Language,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    return Answer(status, json.write(operation_outcome(issues, spoken)), headers or {})
