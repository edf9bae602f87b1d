"""`ehr-server train-match`: the weights of $match, learnt from the record's own pairs."""

import subprocess
import sys

import httpx
import psycopg

from api.test_match import matched, person, put
from servers import serving


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", "train-match", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_prints_the_table_and_stores_it_when_asked(database: str) -> None:
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        for number in range(30):
            sex = "male" if number % 3 else "female"
            text = f"Nguyễn Văn {chr(97 + number % 26)}a{number // 26 * 'o'}"
            put(
                client,
                f"p{number}",
                person(text, f"19{50 + number}-04-0{1 + number % 9}", gender=sex),
            )
        done = run("--database-url", database)
        assert done.returncode == 0, done.stderr
        head, *lines, told = done.stdout.splitlines()
        assert head.split("\t")[:4] == ["field", "level", "m", "u"]
        assert any(line.startswith("sex\tsame\t0.995\t0.5\t+1.0\t") for line in lines)
        assert told.startswith("30 persons")
        assert told.endswith("not stored: --store does that")
        assert _rows(database) == 0
        assert run("--database-url", database, "--store").stdout.rstrip().endswith("; stored")
        assert _rows(database) == len(lines)
        assert matched(client, person("Nguyễn Văn aa", "1950-04-01"))[0][0] == "p0"


def test_an_empty_record_teaches_nothing(database: str) -> None:
    done = run("--database-url", database)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("0 persons, 0 pairs in blocks")


def test_what_is_stored_is_what_match_goes_by(database: str) -> None:
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        put(client, "one", person("Lò Thị Pâng"))
        assert matched(client, person("Lò Thị Pâng", "1974")) == [("one", "probable")]
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("insert into weight values ('birth', 'partial', 0.0001, 0.9)")
        assert matched(client, person("Lò Thị Pâng", "1974")) != [("one", "probable")]


def _rows(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from weight").fetchone()
    assert row is not None
    return int(row[0])
