"""Tokens of our own, made by one process and checked by another."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ehr_server import clock
from ehr_server.admission.clients import Clients
from ehr_server.admission.own import OwnTokens, new_key
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import taken_apart
from ehr_server.settings import Settings
from ehr_server.store import clients as kept
from ehr_server.store.connect import Store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with closing(Store(database, pool_size=2)) as opened:
        yield opened


def test_who_was_registered_a_moment_ago_is_known_in_every_process(store: Store) -> None:
    """What a process has seen counts for a second; within it a client gets its first token from
    another process, and uses it here."""
    here, there = (OwnTokens(Settings(), Clients(store, new_key)) for _ in range(2))
    assert here.clients.current().clients == {}
    client = kept.Client("lab", "lab", ("system/*.rs",), "", None, (), (), None, clock.now())
    with store.connection() as connection:
        assert kept.add(connection, client)
    token = taken_apart(there.made(client, client.scopes), {"at+jwt"})
    assert here.principal(token).client == "lab"
    with store.connection() as connection:
        assert kept.revoke(connection, "lab", clock.now())
    here.clients.current(is_new=True)
    with pytest.raises(Rejected, match="revoked"):
        here.principal(token)
