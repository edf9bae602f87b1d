"""The page of search is what its tests make of it, and no cell is without one."""

import subprocess
import sys
from pathlib import Path

import pytest

import make_search_page
from make_search_page import ALLOWED, EVERY, RESULTS, Gaps, page

TOOL = Path(make_search_page.__file__)


def _everything() -> make_search_page.Covered:
    test = ["test_search_token.py::test_a_token_is_found"]
    cells = [(row, column) for row, columns in ALLOWED.items() for column in columns]
    cells += [("every", name) for name in EVERY] + [("result", name) for name in RESULTS]
    return dict.fromkeys(cells, test)


def test_the_page_of_search_is_what_the_tests_cover() -> None:
    checked = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_cell_without_a_test_is_named() -> None:
    found = _everything()
    assert "| token |" in page(found)
    del found["token", ":not"]
    with pytest.raises(Gaps, match="no test covers token :not"):
        page(found)


def test_a_mark_of_no_cell_is_named() -> None:
    found = {**_everything(), ("token", ":exact"): ["test_x.py::test_x"]}
    with pytest.raises(Gaps, match="token :exact is no cell"):
        page(found)


def test_what_only_refusals_cover_is_shown_as_refused() -> None:
    found = {**_everything(), ("uri", "_sort"): [f"{make_search_page.REFUSALS}::test_x"]}
    assert page(found).count("**refused**") == 1 + make_search_page._HEAD.count("**refused**")
