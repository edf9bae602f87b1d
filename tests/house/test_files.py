"""What files of the project may not hold: traces of a machine, registries in the lock."""

import re
from pathlib import Path

from house.sources import ROOT, expect_none, shown, text_files


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    """Neither of the checkout, nor of a home: checked wherever the test is run."""
    places = {f"{ROOT}/", f"{ROOT.parent}/", f"{Path.home()}/"}
    places = {place for place in places if place.count("/") > 1 and place != "//"}
    homes = re.compile(r"(?<![\w.~-])/(?:home|Users)/[a-z]\w*/")
    expect_none(
        [
            shown(path)
            for path, text in text_files()
            if homes.search(text)
            or any(re.search(rf"(?<![\w.-]){re.escape(p)}", text) for p in places)
        ]
    )


def test_the_lock_names_no_registry_and_has_a_hash_for_everything() -> None:
    for name in ("requirements.txt", "requirements-test.txt"):
        text = ROOT.joinpath(name).read_text()
        assert "://" not in text
        assert "index" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        expect_none([entry for entry in entries if "--hash=sha256:" not in entry])
        expect_none([entry for entry in entries if not re.match(r"[a-z0-9.-]+==", entry)])


def test_the_lock_of_the_tests_is_the_lock_of_the_server_and_more() -> None:
    server, tests = (
        set(re.findall(r"^\S+==\S+", ROOT.joinpath(name).read_text(), re.M))
        for name in ("requirements.txt", "requirements-test.txt")
    )
    assert server < tests


def test_text_files_end_with_one_line_break() -> None:
    expect_none(
        [
            shown(path)
            for path, text in text_files()
            if path.suffix in {".py", ".md", ".toml", ".sh"}
            and text
            and (not text.endswith("\n") or text.endswith("\n\n"))
        ]
    )
