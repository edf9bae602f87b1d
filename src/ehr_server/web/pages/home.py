"""The home page: what this is, how to try it, and how it is. One file, nothing loaded from
elsewhere, in English and Vietnamese, by day and by night.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from string import Template
from typing import TYPE_CHECKING

import ehr_server
from ehr_server.call import Request
from ehr_server.store import figures, migrate
from ehr_server.store.queue import FAILED, QUEUED, RUNNING
from ehr_server.web.pages.style import STYLE
from ehr_server.web.pages.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store
    from ehr_server.store.figures import Figures


@dataclass(frozen=True, slots=True)
class State:
    """How the server is; `figures` are None while the database is away."""

    figures: Figures | None
    is_migrated: bool


def state(store: Store) -> State:
    """Asked anew for each page: three cheap statements."""
    found = figures.figures(store)
    return State(found, found is not None and migrate.is_newest(store))


def page(settings: Settings, found: State | None, base_url: str, accept_language: str) -> str:
    """The page as HTML, in the first language that the browser names of those there are. Without a
    state it tells nothing of what is stored here."""
    request = Request("GET", (), headers={"accept-language": accept_language})
    language = request.language(settings.language)
    said = WORDS[language]
    told = {
        "language": language,
        "version": escape(ehr_server.__version__),
        "base": escape(base_url),
        "state": _told(found, said) if found else "",
        "metrics": _link("/metrics", said["metrics"]) if found and not settings.no_metrics else "",
        "style": STYLE,
        "curl": escape(_TRY.format(base=base_url)),
    }
    return _PAGE.substitute({**said, **told})


def _told(found: State, said: Mapping[str, str]) -> str:
    rows = "".join(_row(*row) for row in _rows(found, said))
    return f"<h2>{said['how']}</h2>\n<table>{rows}</table>"


def _rows(found: State, said: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """Name, what is so, and whether that is well."""
    known = found.figures
    if known is None:
        return [(said["database"], said["away"], False)]
    waiting = sum(count for _, state, count in known.jobs if state in (QUEUED, RUNNING))
    failed = sum(count for _, state, count in known.jobs if state == FAILED)
    schema = said["current"] if found.is_migrated else said["behind"]
    return [
        (said["database"], f"{said['there']}, {known.size_bytes / 1e6:,.0f} MB", True),
        (said["schema"], schema, found.is_migrated),
        (said["resources"], f"{said['about']} {known.resources_about:,}", True),
        (said["jobs"], f"{waiting} {said['waiting']}, {failed} {said['failed']}", not failed),
    ]


def _row(name: str, value: str, is_well: bool) -> str:
    mark = "✓" if is_well else "!"
    kind = "well" if is_well else "ill"
    shown = f'<span class="{kind}" aria-hidden="true">{mark}</span> {escape(value)}'
    return f"<tr><th scope=row>{escape(name)}</th><td>{shown}</td></tr>"


def _link(address: str, text: str) -> str:
    return f'<li><a href="{address}">{escape(text)}</a></li>'


_TRY = """curl {base}/metadata

curl -X POST {base}/Patient \\
  -H 'Content-Type: application/fhir+json' \\
  -d '{{"resourceType": "Patient", "name": [{{"text": "Nguyễn Thị Lan"}}]}}'

curl -G {base}/Patient --data-urlencode 'name=lan'"""

_PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ehr-server</title>
<style>
$style</style>
</head>
<body>
<header><h1>ehr-server</h1>
<p class="dim">$what · $release $version</p></header>
<main>
<h2>$address</h2>
<p><a href="/fhir/metadata"><code>$base</code></a></p>
$state
<h2>$attempt</h2>
<pre tabindex="0"><code>$curl</code></pre>
<h2>$further</h2>
<ul>
<li><a href="/docs">$docs</a></li>
<li><a href="/fhir/metadata">$capabilities</a></li>
<li><a href="/health/ready">$health</a></li>
$metrics
</ul>
</main>
<footer><p>$standard</p></footer>
</body>
</html>
""")
