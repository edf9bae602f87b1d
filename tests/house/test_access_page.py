"""The page of access is made from the table that is asked of a server."""

from make_access_page import PAGE, page


def test_the_page_of_access_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/make_access_page.py"
