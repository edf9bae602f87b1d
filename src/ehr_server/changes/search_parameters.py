"""What the write path does about search parameters: it indexes by all that are in use, and takes in
those that are themselves written.

https://hl7.org/fhir/R4/searchparameter.html. Why no row can miss one is told in
`store.search_parameters`.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from ehr_server.changes.change import Change, Means
from ehr_server.errors import Refusal, Unavailable
from ehr_server.fhir.outcome import issues_of
from ehr_server.issue import Issue
from ehr_server.packages.searchable import wanted
from ehr_server.search import added
from ehr_server.store.connect import Connection, Transaction
from ehr_server.store.search_parameters import change as change_in_use
from ehr_server.store.search_parameters import generation as newest

TYPE = "SearchParameter"


def faults(change: Change) -> list[Issue]:
    """Why a valid SearchParameter cannot be used; [] for any other resource."""
    if change.type != TYPE or change.resource is None:
        return []
    return added.faults(change.resource)


def by_all_in_use(means: Means, opened: Transaction) -> Means:
    """The means to index with in this transaction: by what is in use since it began, or later."""
    generation = opened.generation
    if means.rules.parameters.generation >= generation:
        return means
    parameters = means.searchable.of(opened.connection, generation)
    return replace(means, rules=replace(means.rules, parameters=parameters))


def defines(changes: Sequence[Change]) -> bool:
    """Whether what is in use may be changed by this."""
    return any(one.type == TYPE for one in changes)


def take_in(connection: Connection, changes: Sequence[Change]) -> None:
    """What the SearchParameters among the changes define is in use once the transaction commits,
    and their index is built from then on.

    The last step of a transaction: who changes what is in use waits for who did so before. Raises
    `Unprocessable`, with the place, where a code is taken or there are too many.
    """
    asked = {
        "/".join(one.identity): wanted(one.resource) if one.resource is not None else []
        for one in _written(changes)
    }
    if not asked:
        return
    try:
        change_in_use(connection, asked, added.OF_TYPE_MAX)
    except Refusal as refusal:
        first = next(_written(changes))
        refusal.issues = tuple(first.located(one) for one in issues_of(refusal))
        raise


def take_up(means: Means) -> None:
    """What this process has just changed it knows at once, the others in a moment."""
    with suppress(Unavailable), means.store.connection() as connection:
        means.searchable.of(connection, newest(connection))


def _written(changes: Sequence[Change]) -> Iterator[Change]:
    return (one for one in changes if one.type == TYPE and one.matched is None)
