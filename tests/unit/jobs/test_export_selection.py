"""Whom and which an export holds, as of its moment, whatever was written since."""

import threading
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ehr_server import clock
from ehr_server.access import chosen
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import person_comp
from ehr_server.jobs import export, export_part
from ehr_server.jobs.work import Interrupted, Work
from ehr_server.store import cohort, marks, queue
from ehr_server.store import export as kept
from ehr_server.store.export import Ask, Filters
from ehr_server.store.files import file_of
from ehr_server.store.queue import Job
from searching import HERE, Record, record
from unit.jobs.record import lines, settings

CODE = "http://loinc.org|29463-7"

# What searches find among a patient Hoa, with a final result of 50 kg, and Lan, with an amended one
# of 70 kg that stands in the list.
FOUND = {
    "Observation?patient.name=Hoa": ["o-a"],
    "Observation?_list=l": ["o-b"],
    f"Observation?status=final,amended&code={CODE}": ["o-a", "o-b"],
    "Observation?value-quantity=gt60": ["o-b"],
    "Observation?subject:Patient._id=a": ["o-a"],
    "Observation?_filter=status eq final or value-quantity gt 60": ["o-a", "o-b"],
    "Observation?based-on:missing=true": ["o-a", "o-b"],
    "Observation?_lastUpdated=gt2000": ["o-a", "o-b"],
    "Observation?_text=anything": [],
}


@pytest.fixture
def here(database: str) -> Iterator[Record]:
    with record(database) as opened:
        yield opened


def test_what_changed_since_is_decided_by_what_it_was(here: Record, folder: Path) -> None:
    """A status that was final at the moment and is no longer, and the other way round."""
    here.put(_patient("p"), *(_observation(f"o{n}", "p", "final") for n in range(4)))
    here.put(_observation("o1", "p", "preliminary"))
    job = _job(here, filters=("Observation?status=final",), types=("Observation",))
    here.put(_observation("o0", "p", "preliminary"), _observation("o1", "p", "final"))
    here.put(_observation("o4", "p", "final"))
    here.delete("Observation", "o2")
    assert _names(here, folder, job) == ["o0", "o2", "o3"]


@pytest.mark.parametrize("is_changed", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_by_row_by_index_and_by_content_the_same_is_found(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch, is_changed: bool, is_sparse: bool
) -> None:
    """The narrow row of what did not change, whether looked at or found by an index, and the
    content of what did, say the same."""
    monkeypatch.setattr(chosen, "SPARSE_SHARE", 1 if is_sparse else 0)
    here.put(_patient("a", "Hoa"), _patient("b", "Lan"))
    here.put(_observation("o-a", "a", "final"), _observation("o-b", "b", "amended", 70))
    members = [{"item": {"reference": "Observation/o-b"}}]
    here.put({"resourceType": "List", "id": "l", "status": "current", "mode": "working"}
             | {"entry": members})  # fmt: skip
    with here.store.connection() as connection:
        connection.execute("analyze resource")  # how few they are is told as a share of all
    jobs = {text: _job(here, filters=(text,), types=("Observation",)) for text in FOUND}
    if is_changed:
        for id_, of in (("o-a", "a"), ("o-b", "b")):
            here.put(_observation(id_, of, "cancelled", 1))
    assert {text: _names(here, folder, job) for text, job in jobs.items()} == FOUND
    with here.store.connection() as connection:
        planned = [queue.planned(connection, job.id)[0][1]["is_sparse"] for job in jobs.values()]
    assert all(planned) or not is_sparse


def test_what_is_sparse_is_told_as_of_the_moment(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the index finds: what was changed, made or deleted since; and what was deleted before
    and since another moment."""
    monkeypatch.setattr(chosen, "SPARSE_SHARE", 1)
    here.put(_patient("p"), *(_observation(f"o{n}", "p", "final") for n in range(4)))
    first = clock.now()
    with here.store.connection() as connection:
        marks.leave(here.store, connection, first)
    here.put(_observation("o1", "p", "preliminary"), _observation("o5", "p", "final"))
    here.delete("Observation", "o3")
    with here.store.connection() as connection:
        connection.execute("analyze resource")
    asked = {"filters": ("Observation?status=final",), "types": ("Observation",)}
    job, since = _job(here, **asked), _job(here, since=first, **asked)
    here.put(_observation("o0", "p", "preliminary"), _observation("o1", "p", "final"))
    here.put(_observation("o4", "p", "final"))
    here.delete("Observation", "o2")
    assert _names(here, folder, job) == ["o0", "o2", "o5"]
    _run(here, folder, since)
    assert [json.read(one)["id"] for one in lines(folder / since.id, kind="Observation")] == ["o5"]
    (gone,) = lines(folder / since.id, kind="deleted")
    assert b"Observation/o3" in gone


def test_a_leaf_that_turns_sparse_is_gone_on_with_where_it_was_cut(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker cuts the leaf and ends; to the one that takes over little seems to be chosen."""
    here.put(_patient("p"), *(_observation(f"o{n}", "p", "final") for n in range(6)))
    with here.store.connection() as connection:
        connection.execute("analyze resource")
    asked = {"filters": ("Observation?status=final",), "types": ("Observation",)}
    job = _job(here, **asked)
    here.put(_observation("o1", "p", "preliminary"), _observation("o4", "p", "preliminary"))
    with here.store.connection() as connection:
        place = connection.execute(
            "select tx, key from version_observation where ver = 1 order by tx, key offset 2"
        ).fetchone()
        claimed = queue.claim(connection, ["export"], 60)
    assert place is not None
    assert claimed is not None
    work = Work(here.store, settings(folder), claimed, threading.Event())
    work.plan_part(0, kept.Stretch("observation", kept.BEGINNING, (place[0], place[1])).as_json())
    monkeypatch.setattr(chosen, "SPARSE_SHARE", 1)
    export.run(work)
    with here.store.connection() as connection:
        assert [one["is_sparse"] for _, one in queue.planned(connection, job.id)] == [False, True]
    found = [json.read(line)["id"] for line in lines(folder / job.id)]
    assert sorted(found) == [f"o{n}" for n in range(6)]


def test_what_is_parts_and_wholes_of_each_other(here: Record, folder: Path) -> None:
    """`:below` asks the record, of what changed since too."""
    here.put({"resourceType": "Location", "id": "ward", "name": "Khoa nội"})
    here.put(_room("room", "ward"), _room("other"))
    job = _job(here, filters=("Location?_id=room,other&partof:below=ward",), types=("Location",))
    here.put(_room("room", "ward") | {"status": "inactive"}, _room("other", "ward"))
    assert _names(here, folder, job) == ["room"]


def test_chunks_joined_are_the_list_and_what_is_shared_comes_once(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appointments of three each, most of them at home with somebody who is not in the list."""
    monkeypatch.setattr(kept, "PIECE_PERSONS", 3)
    ids = [f"p{number}" for number in range(20)]
    here.put(*(_patient(id_) for id_ in ids))
    here.put(*(_observation(f"o-{id_}", id_, "final") for id_ in ids))
    here.put(*(_appointment(f"v{n}", ids[n], ids[(n + 1) % 20], ids[(n + 7) % 20])
               for n in range(20)))  # fmt: skip
    listed = ids[::2]
    job = _job(here, listed, types=("Patient", "Observation", "Appointment"))
    expected = [
        f"v{n}" for n in range(20) if {n, (n + 1) % 20, (n + 7) % 20} & set(range(0, 20, 2))
    ]
    assert _names(here, folder, job) == sorted(
        [*listed, *(f"o-{id_}" for id_ in listed), *expected]
    )
    assert len(list((folder / job.id).glob("Patient.*"))) == 4


def test_a_list_is_gone_on_with_after_a_stop(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PIECE_PERSONS", 2)
    ids = [f"p{number}" for number in range(9)]
    here.put(*(_patient(id_) for id_ in ids))
    job = _job(here, ids, types=("Patient",))
    stop = threading.Event()
    with here.store.connection() as connection:
        claimed = queue.claim(connection, ["export"], 60)
    assert claimed is not None
    work = Work(here.store, settings(folder), claimed, stop)
    finish_part = work.finish_part
    monkeypatch.setattr(work, "finish_part", lambda *part: (finish_part(*part), stop.set()))
    with pytest.raises(Interrupted):
        export.run(work)
    (first,) = work.finished_parts()
    path = folder / job.id / file_of(first.done["files"][0]).stored_name
    written = path.stat().st_mtime_ns
    with here.store.connection() as connection:
        assert queue.give_back(connection, work.job, 0)
    assert _names(here, folder, job) == ids
    assert path.stat().st_mtime_ns == written


def test_who_joined_since_gives_nothing_of_before(here: Record, folder: Path) -> None:
    """An Appointment of others, in which somebody of the list takes part only after the moment."""
    here.put(_patient("a"), _patient("b"), _appointment("v1", "b"), _appointment("v2", "b", "a"))
    job = _job(here, ["a"], types=("Appointment",))
    here.put(_appointment("v1", "b", "a"), _appointment("v2", "b", "a") | {"priority": 1})
    assert _names(here, folder, job) == ["v2"]


def test_blocks_of_all_are_cut_lazily_and_are_whole(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PIECE_PERSONS", 4)
    monkeypatch.setattr(export_part, "_PERSONS_AT_ONCE", 2)
    ids = [f"p{number}" for number in range(11)]
    here.put(*(_patient(id_) for id_ in ids))
    here.put(*(_observation(f"o{n}-{id_}", id_, "final") for id_ in ids for n in range(3)))
    here.delete("Observation", "o0-p3")
    job = _job(here, types=("Patient", "Observation"), of_patients=True, is_by_person=True)
    here.put(_patient("p99"), _observation("o9", "p99", "final"))
    here.delete("Observation", "o0-p4")
    _run(here, folder, job)
    files = sorted((folder / job.id).glob("Patient-block.*.ndjson"))
    assert len(files) == 3
    blocks: dict[str, list[str]] = {}
    for line in (line for file in files for line in file.read_bytes().splitlines()):
        one = json.read(line)
        if one["resourceType"] == "Parameters":
            reference = one["parameter"][0]["valueReference"]["reference"]
            assert reference not in blocks, "a block is whole"
            block = blocks.setdefault(reference, [])
        else:
            block.append(one["id"])
    assert blocks == {
        f"Patient/{id_}": [id_, *(f"o{n}-{id_}" for n in range(3) if f"o{n}-{id_}" != "o0-p3")]
        for id_ in ids
    }


def test_a_part_that_is_written_again_is_the_same(
    here: Record, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PIECE_PERSONS", 2)
    ids = [f"p{number}" for number in range(6)]
    here.put(*(_patient(id_) for id_ in ids), *(_observation(f"o-{i}", i, "final") for i in ids))
    job = _job(here, ids, filters=("Observation?status=final",), elements="status")
    _run(here, folder, job)
    first = lines(folder / job.id)
    here.put(*(_observation(f"o-{id_}", id_, "cancelled") for id_ in ids))
    with here.store.connection() as connection:
        connection.execute("delete from job_part")
        connection.execute("update job set state = 'queued', lease = null")
    _run(here, folder, job)
    assert lines(folder / job.id) == first
    assert all(b"SUBSETTED" in line for line in first)


def test_a_part_that_is_written_again_alters_no_file(here: Record, folder: Path) -> None:
    """ "files SHALL NOT be altered once they have been included in a manifest": who lost the job
    without knowing writes its part too, in another order if something changed since."""
    here.put(*(_patient(f"p{number}") for number in range(4)))
    job = _job(here, filters=("Patient?name=Lan",), types=("Patient",))
    ask = kept.ask_of(job.request["ask"])
    writing = export_part.writer(
        here.store, export_part.Place(folder, ask, "ndjson", is_of_job=True)
    )
    piece = kept.Stretch("patient", kept.BEGINNING)
    (first,) = writing.write(0, piece, lambda: None)
    before = (folder / first.stored_name).read_bytes()
    here.put(_patient("p0", "Hoa"), _patient("p1", "Hoa"))
    (again,) = writing.write(0, piece, lambda: None)
    assert (first.name, first.count) == (again.name, again.count)
    assert (folder / first.stored_name).read_bytes() == before
    (folder / job.id).mkdir()
    (folder / job.id / again.stored_name).write_bytes(before)  # of an attempt that came to nothing
    _run(here, folder, job)
    with here.store.connection() as connection:
        (part,) = queue.parts(connection, job.id)
    (listed,) = part.done["files"]
    assert [path.name for path in (folder / job.id).iterdir()] == [file_of(listed).stored_name]


def test_what_belongs_to_many_is_looked_at_once_not_for_every_chunk(
    here: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit of all in the list, which is at home with somebody who is not."""
    monkeypatch.setattr(kept, "PIECE_PERSONS", 2)
    monkeypatch.setattr(cohort, "_MANY", 3)
    ids = [f"p{number}" for number in range(8)]
    here.put(*(_patient(id_) for id_ in [*ids, "host"]), _appointment("v", "host", *ids))
    job = _job(here, ids)
    with here.store.connection() as connection:
        listed = cohort.cohort(connection, job.id)
        found = [cohort.of_chunk(connection, listed, kept.Chunk(n)).beside for n in range(4)]
        assert [len(one) for one in found] == [1, 0, 0, 0]
        connection.execute("delete from member")  # a second look would find nothing
        assert cohort.of_chunk(connection, listed, kept.Chunk(0)).beside == found[0]


def test_a_search_by_an_identifier_finds_all_records(here: Record, folder: Path) -> None:
    number = {"system": "http://x.vn/mrn", "value": "H1"}
    here.put(_patient("a") | {"identifier": [number]}, _patient("b") | {"identifier": [number]})
    text = "Patient?identifier=http://x.vn/mrn|H1"
    assert _names(here, folder, _job(here, filters=(text,), types=("Patient",))) == ["a", "b"]


def _job(here: Record, listed: Sequence[str] | None = None, **asked: Any) -> Job:
    """An export of what is asked for, queued; of the listed persons if there are any."""
    at, id_ = clock.now(), clock.new_id()
    since = asked.pop("since", None)
    filters = Filters(asked.pop("filters", ()), None, "Asia/Ho_Chi_Minh", HERE)
    with here.store.transaction() as opened:
        ask = Ask(opened.tx, asked.pop("types", definitions().resource_types), filters=filters)
        ask = replace(ask, cohort=id_ if listed is not None else "", **asked)
        ask = kept.begin(here.store, opened.connection, ask, at, since)
        job = Job(id_, "export", queue.QUEUED, {"ask": ask.as_json(), "form": "ndjson"}, {}, 0, at)
        queue.put(opened.connection, job)
        if listed is not None:
            comps = array("q", sorted(map(person_comp, listed)))
            cohort.put(opened.connection, id_, comps)
    return job


def _run(here: Record, folder: Path, job: Job) -> None:
    with here.store.connection() as connection:
        claimed = queue.claim(connection, ["export"], 60)
    assert claimed is not None
    assert claimed.id == job.id
    export.run(Work(here.store, settings(folder), claimed, threading.Event()))


def _names(here: Record, folder: Path, job: Job) -> list[str]:
    _run(here, folder, job)
    return sorted(json.read(line)["id"] for line in lines(folder / job.id))


def _patient(id_: str, name: str = "Lan") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "name": [{"text": name}]}


def _observation(id_: str, patient: str, status: str, kg: int = 50) -> dict[str, Any]:
    system, code = CODE.split("|")
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": status,
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "valueQuantity": {"value": kg, "unit": "kg"},
    }


def _appointment(id_: str, *patients: str) -> dict[str, Any]:
    parts = [{"actor": {"reference": f"Patient/{one}"}, "status": "accepted"} for one in patients]
    return {"resourceType": "Appointment", "id": id_, "status": "proposed", "participant": parts}


def _room(id_: str, within: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Location", "id": id_, "name": id_}
    return found | ({"partOf": {"reference": f"Location/{within}"}} if within else {})
