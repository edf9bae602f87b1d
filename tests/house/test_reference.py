"""Pages of the reference that are made from the code say what the code says."""

from make_settings_page import PAGE, page


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/make_settings_page.py"
