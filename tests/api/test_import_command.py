"""`ehr-server import`: bad input by line, ids, references, identifiers, and kills.

docs/guides/importing.md, docs/decisions/0024-import.md
"""

import gzip
import signal
import time
from pathlib import Path

import psycopg
import pytest

from api.importing import counts, finished, held, imported, record, started, written
from api.patients import resident, weight
from ehr_server.fhir import json

LONG = "--import-line-bytes-max=100000"


def test_each_bad_line_is_told_and_the_others_are_stored(database: str, tmp_path: Path) -> None:
    file = written(
        tmp_path / "mixed.ndjson",
        b"\xef\xbb\xbf" + json.write(resident(id="bom")),
        json.write(resident(id="crlf")) + b"\r",
        b"",
        b"   \r",
        b"{broken",
        b"[1, 2]",
        b'"a text"',
        {"resourceType": "Nonsense", "id": "n"},
        {"id": "typeless"},
        resident(),
        resident(id="wrong", gender="man", birthDate=7),
        resident(id="x" * 65),
        weight("Patient/crlf") | {"id": "w"},
        b'{"resourceType":"Patient","id":"cut","gen',
    )
    done = imported(database, file)
    assert done.returncode == 1
    told = {int(line.split(":")[1]) for line in done.stdout.splitlines()[:-1]}
    assert told == {5, 6, 7, 8, 9, 10, 11, 12, 14}
    assert f"{file}:11: Patient.gender: " in done.stdout
    assert f"{file}:11: Patient.birthDate: " in done.stdout
    assert f"{file}:10: Patient.id: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3 resources stored, 0 left as they were, 9 ")
    assert [(type_, id_) for type_, id_, *_ in held(database)] != []
    assert {row[1] for row in held(database)} == {"bom", "crlf", "w"}


@pytest.mark.parametrize(
    "options",
    [(), ("--ids=assign", "--source=x:y"), ("--match=identifier", "--dangling=remove")],
)
def test_whatever_the_shape_it_is_a_refusal_of_a_line(
    database: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Each twice: what is not there yet, and what comes again."""
    about = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
    odd: list[dict[str, object] | bytes] = [
        resident(id="m", meta=[]),
        resident(id="m", meta=5),
        resident(id="m", meta={"extension": 5}),
        resident(id="m", meta={"extension": [5]}),
        resident(id="m", identifier="x"),
        resident(id="m", identifier=[5, {"system": 5, "value": "1"}]),
        resident(id="m", identifier=[{"system": "a|b,c", "value": "\\$,|"}]) | {"name": 5},
        resident(id={}),
        resident(id=""),
        {"resourceType": "Nonsense", "id": "n", "identifier": [{"system": "a", "value": "b"}]},
        about | {"subject": {"reference": 5}},
        about | {"subject": {"reference": "Nonsense/1"}, "focus": 7},
        about | {"subject": [{"reference": "Patient/x/_history/y"}]},
        json.write(about | {"valueInteger": 0})[:-2] + b"9" * 30 + b"}",
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {
            "resourceType": "Nonsense", "id": "n"}, "fullUrl": "urn:uuid:x"}]},
    ]  # fmt: skip
    file = written(tmp_path / "a.ndjson", resident(id="good"), *odd, *odd)
    done = imported(database, file, *options)
    assert done.returncode == 1
    told = {int(line.split(":")[1]) for line in done.stdout.splitlines()[:-1]}
    assert told == set(range(2, 2 + 2 * len(odd)))
    assert done.stdout.splitlines()[-1].startswith("1 resources stored, 0 left as they were, 30 ")
    assert not done.stderr


def test_it_stops_at_the_first_refusal_when_asked(database: str, tmp_path: Path) -> None:
    file = written(tmp_path / "a.ndjson", b"{broken", *record(range(5)))
    done = imported(database, file, "--stop-on-error")
    assert done.returncode == 1
    assert "0 resources stored" in done.stdout
    assert "stopped at the first refusal" in done.stdout
    assert held(database) == []


def test_a_line_over_the_limit_is_refused_by_name_of_the_limit(
    database: str, tmp_path: Path
) -> None:
    """As a line of 100 MB is with the limit that is the default."""
    long = json.write(resident(id="long", name=[{"text": "x" * 300_000}]))
    lines = [resident(id="a"), long, resident(id="b")]
    plain = written(tmp_path / "a.ndjson", *lines)
    packed = tmp_path / "b.ndjson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    whole = tmp_path / "c.json"
    whole.write_bytes(long)
    done = imported(database, plain, packed, whole, LONG)
    assert done.stdout.count("import_line_bytes_max") == 3
    assert f"{plain}:2: " in done.stdout
    assert f"{packed}:2: " in done.stdout
    assert f"{whole}:1: " in done.stdout
    assert "2 resources stored, 2 left as they were, 3 lines refused" in done.stdout


@pytest.mark.slow
def test_a_line_of_100_mb_takes_no_memory(database: str, tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    with file.open("wb") as out:
        out.write(json.write(resident(id="a")) + b"\n")
        out.write(b'{"resourceType":"Patient","id":"' + b"x" * (100 << 20) + b'"}\n')
        out.write(json.write(resident(id="b")) + b"\n")
    process = started(database, file)
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                most = max(most, int(line.split()[1]))
        time.sleep(0.05)
    done = finished(process)
    assert "2 resources stored, 0 left as they were, 1 lines refused" in done.stdout
    assert most < 250_000, "KiB"


def test_what_a_broken_gzip_holds_before_the_break_is_stored(database: str, tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(map(json.write, record(range(400)))))
    file = tmp_path / "cut.ndjson.gz"
    file.write_bytes(packed[: len(packed) * 2 // 3])
    good = written(tmp_path / "good.ndjson", resident(id="good"))
    done = imported(database, file, good)
    assert done.returncode == 1
    assert "is broken" in done.stdout
    assert " 1 lines refused" in done.stdout
    versions, live = counts(database)
    assert versions == live
    assert 200 < live < 1_600
    ids = [row[1] for row in held(database)]
    assert "good" in ids


def test_members_of_gzip_one_after_the_other(database: str, tmp_path: Path) -> None:
    """RFC 1952 2.2: a file is a series of members."""
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(b"".join(gzip.compress(json.write(one) + b"\n") for one in record(range(20))))
    assert "80 resources stored" in imported(database, file).stdout


def test_an_id_that_comes_twice(database: str, tmp_path: Path) -> None:
    """In the same words it is one resource; in others the first counts, and the second is told."""
    first, second = resident(id="a"), resident(id="b")
    other = second | {"gender": "male"}
    file = written(tmp_path / "a.ndjson", first, second, first, other)
    done = imported(database, file)
    assert f"{file}:4: Patient.id: Patient/b stands at {file}:2 already" in done.stdout
    assert "2 resources stored, 1 left as they were, 1 lines refused" in done.stdout
    again = imported(database, file)
    assert "0 resources stored, 3 left as they were, 1 lines refused" in again.stdout
    assert [row[3] for row in held(database)] == [1, 1]


def test_a_line_that_is_refused_stands_in_nobodys_way(database: str, tmp_path: Path) -> None:
    """The next that tells the same resource, rightly, is stored."""
    lines = (resident(id="a", gender="man"), resident(id="a"), resident(id="a", active=True))
    done = imported(database, written(tmp_path / "a.ndjson", *lines))
    told = [line for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [line.split(":")[1] for line in told] == ["1", "3"]
    assert "a.ndjson:2 already" in told[1]
    assert done.stdout.splitlines()[-1].startswith("1 resources stored, ")


def test_what_stands_before_the_first_refusal_is_stored(database: str, tmp_path: Path) -> None:
    lines = [resident(id=f"good{number}") for number in range(5)]
    file = written(tmp_path / "a.ndjson", *lines, b"{broken", resident(id="late"))
    done = imported(database, file, "--stop-on-error")
    assert "5 resources stored, " in done.stdout
    assert len(held(database)) == 5


def test_a_line_refused_by_a_rule_does_not_drop_those_before(database: str, tmp_path: Path) -> None:
    lines = [resident(id=f"good{number}") for number in range(5)]
    late = [resident(id="late"), resident(id="wrong", gender="man")]
    file = written(tmp_path / "a.ndjson", *lines, resident(id="bad", gender="man"), *late)
    done = imported(database, file, "--stop-on-error")
    assert "5 resources stored, 0 left as they were, 1 lines refused" in done.stdout
    assert {row[1] for row in held(database)} == {f"good{number}" for number in range(5)}


def test_a_gzip_without_a_byte_is_broken(database: str, tmp_path: Path) -> None:
    file = tmp_path / "empty.ndjson.gz"
    file.touch()
    done = imported(database, file)
    assert done.returncode == 1
    assert "ends too early" in done.stdout


def test_an_id_that_comes_twice_far_apart(database: str, tmp_path: Path) -> None:
    """In two parts, which may be done at once: one of them counts, the other is told."""
    people = record(range(900), weights=14)
    last = people[-1] | {"gender": "male"}
    file = written(tmp_path / "a.ndjson", last, *people)
    done = imported(database, file, "--workers=2")
    assert done.returncode == 1
    refused = [line for line in done.stdout.splitlines() if "Patient.id: Patient/p899" in line]
    assert len(refused) == 1
    assert "was changed since this import began" in refused[0]
    assert "13500 resources stored, 0 left as they were, 1 lines refused" in done.stdout
    assert counts(database) == (13_500, 13_500)


def test_references_to_nothing_are_told_and_kept(database: str, tmp_path: Path) -> None:
    """Whatever the order: only what is nowhere at the end is told, at the line that has it."""
    first = written(tmp_path / "a.ndjson", weight("Patient/later") | {"id": "w1"},
                    weight("Patient/nobody") | {"id": "w2"},
                    weight("Patient/nobody") | {"id": "w3"})  # fmt: skip
    second = written(tmp_path / "b.ndjson", resident(id="later"))
    done = imported(database, first, second)
    assert done.returncode == 0
    warned = [line for line in done.stdout.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert warned[0].startswith(f"{first}:2: warning: Observation: It refers to Patient/nobody, ")
    assert "(2 references here)" in warned[0]
    assert "2 references to nothing kept" in done.stdout


def test_references_to_nothing_are_removed_when_asked(database: str, tmp_path: Path) -> None:
    lost = weight("Patient/nobody") | {"id": "w1"}
    lost["subject"] |= {"display": "Nguyễn Thị Ngộp"}
    lines = [lost, weight("Patient/later") | {"id": "w2"}, weight("Patient/gone") | {"id": "w3"},
             {"resourceType": "Observation", "id": "w4", "status": "final",
              "code": {"text": "x"}, "derivedFrom": [{"reference": "Observation/w3"}]},
             resident(id="later")]  # fmt: skip
    file = written(tmp_path / "a.ndjson", *lines)
    done = imported(database, file, "--dangling=remove")
    assert f"{file}:1: warning: Observation: The reference to Patient/nobody" in done.stdout
    assert f"{file}:3: warning: Observation: The reference to Patient/gone" in done.stdout
    assert "5 resources stored" in done.stdout
    assert "2 references to nothing removed" in done.stdout
    with psycopg.connect(database) as connection:
        refs = dict(connection.execute(
            "select rid.id, cardinality(refs) from resource r join rid using (type, comp, key)"
        ).fetchall())  # fmt: skip
    assert (refs["w1"], refs["w3"]) == (0, 0)
    assert refs["w2"] > 0
    assert refs["w4"] > 0, "what waits itself is not nothing"
    again = imported(database, file, "--dangling=remove")
    assert "0 resources stored, 5 left as they were" in again.stdout
    assert {row[3] for row in held(database)} == {1}


def test_ids_are_assigned_the_same_ones_each_time(database: str, tmp_path: Path) -> None:
    """References follow, whichever line comes first; and so do those of a Bundle."""
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": urn, "resource": resident("001174000777")},
            {"fullUrl": "urn:uuid:2", "resource": weight(urn)},
        ],
    }
    by_urn = weight("urn:uuid:7") | {"id": "w2"}
    by_urn["subject"] |= {"type": "Patient"}
    lines = [weight("Patient/7") | {"id": "w"}, by_urn, resident("001174000111", id="7"),
             weight("Patient/7")]  # fmt: skip
    file = written(tmp_path / "a.ndjson", *lines, bundle)
    options = ("--ids=assign", "--source=http://his.example.vn/fhir")
    done = imported(database, file, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "6 resources stored, 0 left as they were, 0 lines refused\n"
    before = held(database)
    assert not {"7", "w"} & {row[1] for row in before}
    again = imported(database, file, *options)
    assert "0 resources stored, 6 left as they were" in again.stdout
    assert held(database) == before
    other = imported(database, file, "--ids=assign", "--source=http://other.example.vn/fhir")
    assert "001174000111" not in other.stdout
    assert "2 lines refused" in other.stdout, "two people have no number both"


def test_a_resource_updates_the_one_that_holds_its_identifier(
    database: str, tmp_path: Path
) -> None:
    """And what refers to it by the id of its source comes to refer to that one, in any order and
    in later imports."""
    here = written(tmp_path / "here.ndjson", resident("001174000111", id="here"))
    assert imported(database, here).returncode == 0
    options = ("--match=identifier", "--source=http://his.example.vn/fhir")
    lines = [weight("Patient/there") | {"id": "w1"},
             resident("001174000111", id="there", gender="male"),
             resident("001174000222", id="new"), weight("Patient/new") | {"id": "w2"}]  # fmt: skip
    file = written(tmp_path / "a.ndjson", *lines)
    done = imported(database, file, *options)
    assert done.stdout == "4 resources stored, 0 left as they were, 0 lines refused\n"
    ids = {(row[1], row[3]) for row in held(database)}
    assert ids == {("here", 1), ("here", 2), ("new", 1), ("w1", 1), ("w2", 1)}
    again = imported(database, file, *options)
    assert again.stdout == "0 resources stored, 4 left as they were, 0 lines refused\n"
    later = written(tmp_path / "b.ndjson", weight("Patient/there", "71.5") | {"id": "w3"})
    assert "references" not in imported(database, later, *options).stdout
    with psycopg.connect(database) as connection:
        comps = connection.execute(
            "select count(distinct r.comp) from rid r where r.id in ('here', 'w1', 'w3')"
        ).fetchone()
    assert comps == (1,)


def test_transactions_are_whole_or_not_at_all(database: str, tmp_path: Path) -> None:
    """A folder of Bundles: a refused one leaves nothing, the others are stored."""
    for number in range(12):
        bad = {"gender": "man"} if number == 5 else {}
        urn = f"urn:uuid:{number:08}-0000-4000-8000-000000000000"
        entries = [
            {"fullUrl": urn, "resource": resident(f"001174{number:06}", **bad)},
            {"resource": weight(urn) | {"id": f"w{number}"}},
            {"resource": {"resourceType": "Organization", "name": "Trạm y tế", "identifier": [
                {"system": "http://example.org/facility", "value": "T1"}]},
             "request": {"method": "POST", "url": "Organization",
                         "ifNoneExist": "identifier=http://example.org/facility|T1"}},
        ]  # fmt: skip
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        (tmp_path / f"{number:02}.json").write_bytes(json.write(bundle))
    done = imported(database, tmp_path)
    assert f"{tmp_path / '05.json'}:1: Bundle.entry[0].resource.gender: " in done.stdout
    assert "23 resources stored, 10 left as they were, 1 lines refused" in done.stdout
    ids = {row[1] for row in held(database)}
    assert "w5" not in ids
    assert len(ids) == 11 * 2 + 1


def test_a_bundle_may_come_before_what_its_criteria_ask_for(database: str, tmp_path: Path) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: conditional references, in any order of files."""
    clinic = {"resourceType": "Organization", "name": "Trạm y tế", "identifier": [
        {"system": "http://example.org/facility", "value": "T1"}]}  # fmt: skip
    asked = "Organization?identifier=http://example.org/facility|"
    for name, id_, code in (("0", "a", "T1"), ("1", "b", "T1"), ("3", "lost", "T2")):
        patient = resident(id=id_, managingOrganization={"reference": asked + code})
        entry = {"resource": patient}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        written(tmp_path / f"{name}.json", bundle)
    post = {"resource": clinic | {"id": "clinic"}}
    written(tmp_path / "2.json", {"resourceType": "Bundle", "type": "transaction", "entry": [post]})
    done = imported(database, tmp_path)
    assert f"{tmp_path / '3.json'}:1: Bundle.entry[0].resource.managingOrganization" in done.stdout
    assert "3 resources stored, 0 left as they were, 1 lines refused" in done.stdout
    assert {row[1] for row in held(database)} == {"a", "b", "clinic"}


def test_what_an_export_tells_of_deletions_is_done(database: str, tmp_path: Path) -> None:
    """https://hl7.org/fhir/uv/bulkdata/export.html: `deleted` are transactions of DELETEs. They
    come last, wherever they stand."""
    entry = {"request": {"method": "DELETE", "url": "Patient/p0"}}
    gone = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    imported(database, written(tmp_path / "a.ndjson", *record([0, 1], weights=0)))
    done = imported(database, written(tmp_path / "b.ndjson", gone, resident(id="p2")))
    assert (done.returncode, done.stdout.count("refused")) == (0, 1)
    assert {row[1] for row in held(database) if row[2]} == {"p1", "p2"}


def test_the_report_in_a_file(database: str, tmp_path: Path) -> None:
    report = tmp_path / "report.ndjson"
    file = written(tmp_path / "a.ndjson", resident(id="a"), resident(id="b", gender="man"))
    imported(database, file, "--report", report)
    (line,) = report.read_bytes().splitlines()
    (issue,) = json.read(line)["issue"]
    assert issue["expression"] == ["Patient.gender"]
    assert [one.get("valueInteger", one.get("valueString")) for one in issue["extension"]] == [
        str(file),
        2,
    ]


def _people(path: Path, count: int) -> Path:
    return written(path, *record(range(count), weights=14))


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_change_nothing_in_the_result(database: str, tmp_path: Path, kills: int) -> None:
    """The same command goes on where a killed one was."""
    count = 900 if kills == 2 else 3_000
    file = _people(tmp_path / "a.ndjson", count)
    total = count * 15
    for number in range(kills):
        process = started(database, file, "--workers=2")
        end = time.monotonic() + 60
        while counts(database)[0] <= total * number // (kills + 2):
            assert time.monotonic() < end, "it does not get on"
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.communicate()
    done = imported(database, file, "--workers=2")
    assert done.returncode == 0
    assert counts(database) == (total, total)
    assert {row[3:] for row in held(database)} == {(1, 4)}
    again = imported(database, file, "--workers=2")
    assert f"0 resources stored, {total} left as they were, 0 lines refused" in again.stdout
    assert counts(database) == (total, total)


def test_told_to_stop_it_goes_on_later(database: str, tmp_path: Path) -> None:
    file = _people(tmp_path / "a.ndjson", 900)
    process = started(database, file, "--workers=2")
    while counts(database)[0] < 1_000 and process.poll() is None:
        time.sleep(0.05)
    process.terminate()
    stopped = finished(process)
    assert stopped.returncode == 1
    assert "the same command goes on" in stopped.stderr
    done = imported(database, file, "--workers=2")
    assert done.returncode == 0
    assert counts(database) == (13_500, 13_500)


def test_two_imports_of_one_file_at_once(database: str, tmp_path: Path) -> None:
    file = written(tmp_path / "a.ndjson", *record(range(300)))
    imported(database, written(tmp_path / "b.ndjson", resident(id="first")))  # migrated once
    both = [started(database, file) for _ in range(2)]
    for one in both:
        assert finished(one).returncode == 0
    assert counts(database) == (1_201, 1_201)


def test_a_file_that_vanishes_in_the_middle(database: str, tmp_path: Path) -> None:
    """What was read of it is stored; the rest is told, and the other files are stored."""
    big = _people(tmp_path / "a.ndjson", 1_500)
    written(tmp_path / "b.ndjson", resident(id="other"))
    process = started(database, big, tmp_path / "b.ndjson", "--workers=1")
    while counts(database)[0] < 500 and process.poll() is None:
        time.sleep(0.02)
    big.unlink()
    done = finished(process)
    assert done.returncode in (0, 1)  # all of it may have been read
    versions, live = counts(database)
    assert versions == live >= 501
    assert "other" in {row[1] for row in held(database)}
    if done.returncode:
        assert f"{big}:" in done.stdout
        assert "cannot be read" in done.stdout
