"""Whether what was found is what must be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from growth.ask import Page
    from growth.truth import Answers


def differences(page: Page, count: int, matches: Answers, included: Answers) -> str:
    """The first thing that is not as it must be; empty where all is exact.

    `count` is the size of a page. Things that are equal in what they are ordered by may come in
    any order.
    """
    found = [id_ for ids in page.pages for id_ in ids]
    wanted = min(matches.total, count * len(page.pages))
    if page.total is not None and page.total != matches.total:
        return f"a total of {page.total}, not {matches.total}"
    if len(found) != wanted:
        return f"{len(found)} found, not {wanted}"
    if len(set(found)) != len(found):
        return "something twice"
    places = {id_: place for place, id_ in matches.hits}
    if wrong := [id_ for id_ in found if id_ not in places]:
        return f"{wrong[0]} does not belong there"
    if matches.is_ordered:
        order = [places[id_] for id_ in found]
        if order != sorted(place for place, _ in matches.hits)[:wanted]:
            return "another order"
    if page.included != {id_ for _, id_ in included.hits}:
        return f"{len(page.included)} included, not as they must be"
    return ""
