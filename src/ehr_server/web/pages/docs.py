"""The page of addresses and methods, made from the route table. It runs no script: the page that
FastAPI would show loads one from elsewhere."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from ehr_server.web.pages.style import STYLE
from ehr_server.web.pages.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ehr_server.call import Route
    from ehr_server.fhir.outcome import Language


def page(routes: Iterable[Route], base_url: str, language: Language) -> str:
    """The page as HTML: a row for each method of each address."""
    rows = "".join(
        f"<tr><td>{route.method}</td><td><code>{escape('/' + route.pattern)}</code></td>"
        f"<td>{escape(summary(route))}</td></tr>"
        for route in routes
    )
    told = {"language": language, "base": escape(base_url), "rows": rows, "style": STYLE}
    return _PAGE.substitute({**WORDS[language], **told})


def summary(route: Route) -> str:
    """What a route does, in a line."""
    return (route.deed.__doc__ or route.interaction).partition("\n")[0]


_PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$docs · ehr-server</title>
<style>
$style</style>
</head>
<body>
<header><h1>$docs</h1>
<p class="dim">$address: <code>$base</code> · <a href="/openapi.json">$schema_of_all</a> ·
<a href="/fhir/metadata">$capabilities</a></p></header>
<main>
<table>
<thead><tr><th>$method</th><th>$path</th><th>$does</th></tr></thead>
<tbody>$rows</tbody>
</table>
</main>
<footer><p><a href="/">ehr-server</a></p></footer>
</body>
</html>
""")
