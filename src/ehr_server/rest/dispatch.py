"""From a request to an answer: the deed, or the outcome that says why not."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ehr_server import clock, sealing
from ehr_server.access.caller import Caller
from ehr_server.access.entitled import entitled, with_purpose
from ehr_server.access.log import UNKNOWN, address, event
from ehr_server.access.log import rows as log_rows
from ehr_server.access.policies import Policy
from ehr_server.access.purpose import BROKEN_GLASS, hold_glass
from ehr_server.call import Answer, Call, Request, Route, Stream
from ehr_server.changes.change import InForce, Means, means
from ehr_server.errors import Overtaken, Refusal, Unavailable
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
from ehr_server.store.access_log import Row
from ehr_server.store.connect import Store
from ehr_server.store.journal import Journal
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
    journal: Journal | None = None  # None: nothing is logged

    def answer(self, request: Request, caller: Caller, base_url: str) -> Answer:
        """The answer to a request, refusals and failures included, once it is logged."""
        return self.once_logged(request, *self.begun(request, caller, base_url))

    def begun(self, request: Request, caller: Caller, base_url: str) -> tuple[Answer, list[Row]]:
        """As `answer`, and the rows to be logged before what `let_go` makes of it is told."""
        in_force = InForce(self.rulebook(), self.searchable)
        given = means(self.store, self.settings, in_force, caller, base_url)
        session = _Session(self, given)
        try:
            caller = with_purpose(caller, self.policies, request.headers)
            session = _Session(self, replace(given, caller=caller))
            caller = entitled(caller, self.policies, self.store, given.rules)
        except Refusal as refusal:
            spoken = request.language(self.settings.language)
            return session.logged(request, refused(refusal, spoken)), session.told
        session = _Session(self, replace(given, caller=caller))
        return session.answer(request), session.told

    def turned_away(
        self, request: Request, refusal: Refusal, caller: Caller
    ) -> tuple[Answer, list[Row]]:
        """As `begun`, of a request that comes to no deed: nobody knows who calls, or it cannot be
        taken as it came."""
        in_force = InForce(self.rulebook(), self.searchable)
        session = _Session(self, means(self.store, self.settings, in_force, caller, ""))
        spoken = request.language(self.settings.language)
        return session.logged(request, refused(refusal, spoken)), session.told

    def once_logged(self, request: Request, answer: Answer, rows: Sequence[Row]) -> Answer:
        """The answer to tell, once the rows are on the disk."""
        if self.journal is None or not rows:
            return answer
        return self.let_go(request, answer, self.journal.write(rows))

    def let_go(self, request: Request, answer: Answer, failure: BaseException | None) -> Answer:
        """The answer, or where it could not be logged the refusal in its place."""
        if failure is None or answer.status >= 500:
            return answer
        log.error("the access log cannot be written: %s", type(failure).__name__)
        if isinstance(answer.body, Stream):
            answer.body.pieces.close()
        return refused(_unlogged(), request.language(self.settings.language))


@dataclass(frozen=True, slots=True)
class _Session:
    """The routes as one caller's deeds see them."""

    dispatch: Dispatch
    means: Means
    told: list[Row] = field(default_factory=list)  # for the access log, as yet unwritten

    def match(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        route, parts = self.dispatch.table.match(request)
        admitted(route, parts, self.means.caller)
        return route, parts

    def rows(self) -> tuple[Route, ...]:
        return tuple(self.dispatch.table.rows())

    def answer(self, request: Request) -> Answer:
        if request.where and self.dispatch.journal is not None:  # an entry is told by itself
            alone = replace(self.means, caller=self.means.caller.anew())
            return replace(self, means=alone)._answer(request)
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        try:
            request = _unsealed(request, self.means.store)
            answer = self._done(request)
        except Refusal as refusal:
            answer = refused(refusal, request.language(self.dispatch.settings.language))
        except Exception:
            log.exception("%s %s failed", request.method, "/".join(request.path[:1]))
            issue = _FAILED_READ if request.method in ("GET", "HEAD") else _FAILED
            answer = _outcome(500, (issue,), request.language(self.dispatch.settings.language))
        return self.logged(request, answer)

    def logged(self, request: Request, answer: Answer) -> Answer:
        """The answer, with what the access log is to say of it told."""
        journal, caller = self.dispatch.journal, self.means.caller
        if journal is None or (is_of_nobody(request) and answer.status < 400):
            return answer
        trail = caller.trail
        try:
            if trail.event is None:  # it came to no deed
                trail.event = event(journal.words, caller, UNKNOWN, request.path)
            what = trail.event.what
            if request.query:
                is_told = answer.status < 400
                what = address(request.path, request.query, trail, is_told=is_told)
            self.told.extend(log_rows(self.means.store, trail, what, answer.status))
        except Refusal as refusal:  # the database is away
            if answer.status < 500:
                answer = refused(refusal, request.language(self.dispatch.settings.language))
        return answer

    def _done(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return options(self.dispatch.table, request)
        route, parts = self.dispatch.table.match(request)
        caller, settings = self.means.caller, self.dispatch.settings
        if self.dispatch.journal is not None and not is_of_nobody(request):
            words = self.dispatch.journal.words
            caller.trail.event = event(words, caller, route.interaction, request.path)
        if caller.purpose == BROKEN_GLASS:
            hold_glass(request.method, request.path, request.query)
        means = replace(self.means, caller=admitted(route, parts, caller))
        call = Call(request, parts, means.caller, means.store, means, settings, self)
        try:
            return defer(call) if is_deferred(route, request) else _run(route, call)
        except Unready as refusal:
            with means.store.connection() as connection:
                done = percent(connection, refusal.type_name, refusal.parameter_code)
            raise refusal.told(done) from refusal


def is_of_nobody(request: Request) -> bool:
    """Whether it asks for nothing that could be a person's, and is not logged: what the server can
    do, and how far work in the background is."""
    path = request.path
    is_status = len(path) == 2 and path[0] in ("$export-status", "$import-status", "$async-status")
    if request.method in ("GET", "HEAD"):
        return path == ("metadata",) or is_status
    return request.method == "OPTIONS"


def _unlogged() -> Unavailable:
    return Unavailable(
        "The access log cannot be written, and nothing is told that is not logged; try again.",
        vi="Không ghi được nhật ký truy cập, nên không thể trả lời; xin thử lại.",
        headers={"Retry-After": "2"},
    )


def _unsealed(request: Request, store: Store) -> Request:
    """The request with the parameters that a link of ours had sealed. Raises `Invalid`."""
    if request.method == "OPTIONS" or all(name != SEALED for name, _ in request.query):
        return request
    query, private = revealed(request.query, request.path, store.secret(sealing.KEY))
    return replace(request, query=query, private=(*request.private, *private))


def _run(route: Route, call: Call) -> Answer:
    """The deed, again where another request was faster: it starts from what was sent."""
    for attempt in range(_ATTEMPTS_MAX - 1):
        try:
            return route.deed(call)
        except Overtaken:
            call.caller.trail.forget()
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
