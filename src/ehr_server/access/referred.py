"""What resources refer to, and what that refers to in turn: for a record or a document.

References are found in the stored bytes, which are not parsed: 13 MB of them take 40 ms. Each
resource is read through a query that access narrows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ehr_server.access.find import Match
from ehr_server.access.include import Reader, read_places
from ehr_server.definitions import definitions
from ehr_server.fhir.references import mentioned
from ehr_server.store.connect import snapshot
from ehr_server.store.read import places

ROUNDS_MAX = 10  # a chain of any length would not end; no record nests so deep

Identity = tuple[str, str]  # type, id
Place = tuple[int, int]  # comp, key


def is_of_a_person(comp: int) -> bool:
    """Whether it is a patient's compartment (`hashing.person_comp`)."""
    return bool(comp & 1)


def referred(
    reader: Reader,
    wanted: Sequence[Identity],
    known: set[Identity],
    may_come: Callable[[int, int], bool],
    most: int,
) -> list[Match]:
    """Those of the wanted that are here, and what they refer to in turn; none that is `known`.

    `may_come(round, comp)` says whether a resource comes along that lies in the compartment, in
    the first round (0) or a further one. In the order of the references; ends once there are more
    than `most`. What is deleted, or not here, is left out; a reference to a version leads to the
    current one.
    """
    known, found = set(known), list[Match]()
    with snapshot(reader.connection):  # between directory and record a resource may move
        for number in range(ROUNDS_MAX):
            wanted = [one for one in wanted if one not in known]
            known.update(wanted)
            places_of = _places(reader, wanted)
            last = read_places(
                reader,
                {one: at for one, at in places_of.items() if may_come(number, at[0])},
            )
            found += last
            if not last or len(found) > most:
                break
            wanted = named(reader, last)
    return found


def named(reader: Reader, matches: Iterable[Match]) -> list[Identity]:
    """The resources of this server that the contents refer to, in order, each once."""
    base, types = reader.rules.base, definitions().type_number
    return list(
        dict.fromkeys(
            (one.type, one.id)
            for match in matches
            for one in mentioned(match.content, base)
            if one.kind == "local" and one.type and one.type in types and one.id
        )
    )


def _places(reader: Reader, wanted: Sequence[Identity]) -> Mapping[Identity, Place]:
    """Where those lie that are there, in the order wanted."""
    found = places(reader.connection, wanted)
    return {
        one: (found[one].comp, found[one].key) for one in wanted if one in found and found[one].live
    }
