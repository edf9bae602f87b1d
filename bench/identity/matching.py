"""How well $match tells people apart, and how quickly: residents, damaged copies, people alike.

The residents of several communes are stored by the server's own code for rows, without HTTP. Then
the operation is asked in this process, through the route table and the JSON of the answer, for
copies of residents that something happened to, and for people who are not there but look like
somebody who is.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg

from campaign import people, places, registration, systems
from ehr_server.access.caller import LOOPBACK
from ehr_server.call import Request
from ehr_server.changes.change import Change, InForce, Means, means
from ehr_server.changes.rows import Stamp, rows
from ehr_server.fhir import json
from ehr_server.jobs.reindex import keep_up
from ehr_server.jobs.training import train
from ehr_server.rest.dispatch import Dispatch
from ehr_server.rest.routes import INTERACTIONS, RouteTable, found_operations
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.embedded import embedded
from ehr_server.store.migrate import migrate
from ehr_server.store.weights import store as store_weights
from ehr_server.store.words import learn
from ehr_server.store.write import Batch, write
from ehr_server.validation.rulebook import Rulebook
from growth.record import START
from harness.figures import table
from identity.damages import DAMAGES, OTHERS, Patient, three, two
from identity.duplicates import COPIES, Watched, copies, watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BASE = "http://here/fhir"
GRADES = ("certain", "probable", "possible")

_HEAD = """\
# How sure $match is

Made by `python -m bench --matching --residents 20000,100000 --page`, in one process: requests
are answered through the route table with their JSON, without a socket.

The residents are made up (`bench/campaign`): communes of 10,000, in households, with Vietnamese
names as they are spread and the names of some minorities; children have their mother as a contact.
Each question is a copy of a resident that one thing happened to (`bench/identity/damages.py`),
**without identifiers** but in the row that says so; the rest of the copy is as it was, address and
telephone too, but in the rows that say so.

- **Found as** certain, probable, possible: the resident that is meant is in the answer, graded so
  or better. **Precision**: of all that is graded so or better, over all questions of the row, the
  share that is who is meant; namesakes of the same year in the same commune are others.
- **Who is not there**: made up from a resident, but another person; whatever is graded is wrong. A
  twin is possible by design: all but the given name agrees, as in a record with a nickname.
- Made-up people are more regular than real ones. The figures compare versions and weights; they do
  not promise what a site will see. A site's own: `ehr-server train-match`.
"""
_OF_A_COMMUNE = 10_000
_TOGETHER = 200
_ASKED = 400  # persons to a row


@dataclass(slots=True)
class Row:
    """What became of the questions of one sort: how often the one meant came, at which grade;
    who else came, at which grade; how long it took."""

    what: str
    asked: int = 0
    meant: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)

    def recall(self, grade: str) -> float:
        """The share of questions that the one meant answered, at this grade or a better one."""
        return _up_to(self.meant, grade) / max(1, self.asked)

    def wrong(self, grade: str) -> float:
        """Others than the one meant, by 100 questions."""
        return 100 * _up_to(self.others, grade) / max(1, self.asked)

    def precision(self, grade: str) -> float | None:
        right, wrong = _up_to(self.meant, grade), _up_to(self.others, grade)
        return right / (right + wrong) if right + wrong else None


@dataclass(frozen=True, slots=True)
class Matching:
    """The rows of copies, and of those who are not there, by the weights that a site begins with
    and by those that it learns; what the search for duplicates found."""

    residents: int
    at_first: tuple[list[Row], list[Row]]
    trained: tuple[list[Row], list[Row]]
    watched: Watched
    train_s: float


def measure(residents: int, folder: Path, asked: int = _ASKED, seed: int = 1) -> Matching:
    """Store so many residents in a new database in the folder, and ask; then store second
    records of some, let them be searched for, learn, and ask again."""
    with embedded(folder) as url:
        migrate(url)
        store = Store(url)
        try:
            keep_up(store)  # as a server that starts on the empty database
            way = means(store, Settings(), InForce(Rulebook()), LOOPBACK, BASE)
            if not _is_loaded(store):
                _load(way, patients(residents, seed))
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("vacuum (analyze)")
            dispatch = opened(store)
            at_first = _asked(dispatch, residents, asked, seed)
            second = list(copies(patients(residents, seed), seed))
            _load(way, second)
            watched = watch(store, {one["id"] for one in second})
            start = time.perf_counter()
            learnt = train(store, way.rules).learnt
            train_s = time.perf_counter() - start
            with store.connection() as connection:
                store_weights(connection, learnt.rows)
            trained = _asked(dispatch, residents, asked, seed)
        finally:
            store.close()
    return Matching(residents, at_first, trained, watched, train_s)


def _is_loaded(store: Store) -> bool:
    with store.connection() as connection:
        return connection.execute("select from resource_patient limit 1").fetchone() is not None


def opened(store: Store) -> Dispatch:
    """What answers requests, without a server around it."""
    table_, rulebook = RouteTable((*INTERACTIONS, *found_operations())), Rulebook()
    return Dispatch(store, Settings(), table_, lambda: rulebook, InForce(rulebook).searchable)


def patients(residents: int, seed: int) -> Iterator[Patient]:
    """The first so many Patients of as many communes as are needed, with ids; a child has its
    mother as contact."""
    made = 0
    for number in count():
        commune = replace(
            places.TIEN_THANG,
            ward=f"{8995 + number:05}",
            province=places.PROVINCES[number % len(places.PROVINCES)],
        )
        for resident in people.residents(_OF_A_COMMUNE, seed * 1000 + number, commune):
            if made == residents:
                return
            yield patient(resident, commune, f"r{made}")
            made += 1


def patient(resident: people.Resident, commune: places.Commune, id_: str) -> Patient:
    found = registration.patient(resident, commune)
    if resident.kin is not None:
        found["contact"] = [
            {
                "relationship": [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}],
                "name": {"text": resident.kin.name.text},
            }
        ]
    del found["managingOrganization"]
    return {"resourceType": "Patient", "id": id_, **found}


def _load(way: Means, people_: Iterable[Patient]) -> None:
    rest = iter(people_)
    while several := list(islice(rest, _TOGETHER)):
        _put(way, several)


def _put(way: Means, several: list[Patient]) -> None:
    with way.store.transaction() as opened_:
        changes = [Change("create", "Patient", one["id"], one) for one in several]
        batch: Batch
        batch, _ = rows(way, changes, Stamp(opened_.tx, START, way.store.sender_number("")))
        learn(way.store, opened_.connection, batch.words)
        write(opened_.connection, batch)


def _asked(
    dispatch: Dispatch, residents: int, asked: int, seed: int
) -> tuple[list[Row], list[Row]]:
    random = Random(f"{seed}/asked")
    wanted = set(random.sample(range(residents), min(residents, 3 * asked)))
    sample = [one for at, one in enumerate(patients(residents, seed)) if at in wanted]
    random.shuffle(sample)
    for one in sample[:50]:
        _ask(dispatch, Row("warm"), one, None)
    both = {**DAMAGES, "two at once: name, date": two, "three at once: name, date, place": three}
    copied = [
        _row(dispatch, f"{seed}/{what}", (what, damage), sample[:asked])
        for what, damage in both.items()
    ]
    with_numbers = Row("three at once, with the number")
    for one in sample[:asked]:
        damaged = three(random, one)
        if damaged is not None:
            _ask(dispatch, with_numbers, damaged, one["id"])
    strangers = [
        _row(dispatch, f"{seed}/{what}", (what, made), sample[:asked], is_there=False)
        for what, made in OTHERS.items()
    ]
    fresh = Row("somebody of another commune's making")
    for one in list(patients(residents=asked, seed=seed + 77)):
        _ask(dispatch, fresh, _numberless(one), None)
    return [*copied, with_numbers], [*strangers, fresh]


def _row(
    dispatch: Dispatch,
    seed: str,
    made: tuple[str, Any],
    sample: list[Patient],
    *,
    is_there: bool = True,
) -> Row:
    """Ask for what `made` makes of each, without numbers."""
    random, row = Random(seed), Row(made[0])
    for one in sample:
        changed = made[1](random, one)
        if changed is not None:
            _ask(dispatch, row, _numberless(changed), one["id"] if is_there else None)
    return row


def _numberless(patient_: Patient) -> Patient:
    return {key: value for key, value in patient_.items() if key != "identifier"}


def _ask(dispatch: Dispatch, row: Row, patient_: Patient, meant: str | None) -> None:
    parameter = [{"name": "resource", "resource": {k: v for k, v in patient_.items() if k != "id"}}]
    body = json.write({"resourceType": "Parameters", "parameter": parameter})
    request = Request("POST", ("Patient", "$match"), (), {}, body)
    start = time.perf_counter()
    answer = dispatch.answer(request, LOOPBACK, BASE)
    row.times_ms.append(1000 * (time.perf_counter() - start))
    if answer.status != 200 or not isinstance(answer.body, bytes):
        raise RuntimeError(f"{answer.status}: {answer.body!r}")
    row.asked += 1
    for entry in json.read_own(answer.body).get("entry", ()):
        grade = entry["search"]["extension"][0]["valueCode"]
        if meant is not None and entry["resource"]["id"] == f"d{meant}":
            continue
        is_meant = entry["resource"]["id"] == meant
        (row.meant if is_meant else row.others)[grade] += 1


def _up_to(counter: Counter[str], grade: str) -> int:
    return sum(counter[one] for one in GRADES[: GRADES.index(grade) + 1])


def page(text: str) -> str:
    """The page of the reference, with what was measured."""
    return f"{_HEAD}\n{text}\n"


def figures(found: Matching) -> dict[str, Any]:
    """What the tables show, for comparison with other runs."""
    ways = {"at first": found.at_first, "trained": found.trained}
    return {
        "residents": found.residents,
        "train_s": found.train_s,
        "watched": asdict(found.watched),
        **{
            way: [_figures(row) for several in pair for row in several]
            for way, pair in ways.items()
        },
    }


def _figures(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "asked": row.asked,
        "meant": dict(row.meant),
        "others": dict(row.others),
        "ms": _times(row.times_ms),
    }


def section(found: Matching) -> str:
    """The tables, in Markdown."""
    parts = [
        f"### {found.residents:,} residents",
        "By the weights that a site begins with:",
        _tables(*found.at_first),
        f"The search for duplicates, after second records of {100 * COPIES:.0f} % were stored: "
        f"{found.watched.told()}.",
        f"By the weights that the site learnt in {found.train_s:,.0f} s (the second record of one "
        "who is asked for is neither right nor wrong):",
        _tables(*found.trained),
    ]
    return "\n\n".join(parts)


def _tables(copied: list[Row], strangers: list[Row]) -> str:
    heads = ("copy with", "asked", *(f"found as {grade}" for grade in GRADES),
             *(f"{grade} precision" for grade in GRADES), "p50 ms", "p95 ms")  # fmt: skip
    lines = [
        (
            row.what,
            str(row.asked),
            *(f"{100 * row.recall(grade):.1f} %" for grade in GRADES),
            *(_percent(row.precision(grade)) for grade in GRADES),
            *_times(row.times_ms),
        )
        for row in copied
    ]
    others = ("who is not there", "asked", *(f"wrongly {grade}, by 100" for grade in GRADES),
              "p50 ms", "p95 ms")  # fmt: skip
    strange = [
        (row.what, str(row.asked), *(f"{row.wrong(grade):.1f}" for grade in GRADES),
         *_times(row.times_ms))
        for row in strangers
    ]  # fmt: skip
    every = [time_ for row in (*copied, *strangers) for time_ in row.times_ms]
    p50, p95 = _times(every)
    foot = f"All questions: p50 {p50} ms, p95 {p95} ms."
    return "\n\n".join((table(heads, lines), table(others, strange), foot))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _times(times_ms: list[float]) -> tuple[str, str]:
    several = sorted(times_ms) or [0.0]
    return f"{several[len(several) // 2]:.1f}", f"{several[int(len(several) * 0.95)]:.1f}"
