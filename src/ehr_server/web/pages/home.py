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
from ehr_server.web.pages.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store
    from ehr_server.store.figures import Figures

# The page holds no script and loads nothing; its style is its own.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


@dataclass(frozen=True, slots=True)
class State:
    """How the server is; `figures` are None while the database is away."""

    figures: Figures | None
    is_migrated: bool


def state(store: Store) -> State:
    """Asked anew for each page: three cheap statements."""
    found = figures.figures(store)
    return State(found, found is not None and migrate.is_newest(store))


def page(settings: Settings, found: State, base_url: str, accept_language: str) -> str:
    """The page as HTML, in the first language that the browser names of those there are."""
    request = Request("GET", (), headers={"accept-language": accept_language})
    language = request.language(settings.language)
    said = WORDS[language]
    told = {
        "language": language,
        "version": escape(ehr_server.__version__),
        "base": escape(base_url),
        "state": "".join(_row(*row) for row in _rows(found, said)),
        "metrics": "" if settings.no_metrics else _link("/metrics", said["metrics"]),
        "curl": escape(_TRY.format(base=base_url)),
    }
    return _PAGE.substitute({**said, **told})


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
:root { --back: #fbfbf9; --text: #1d2327; --dim: #56616b; --line: #d9dde0; --link: #0b5a8a;
  --code: #eef1f2; --well: #1c6b3a; --ill: #a32b12; }
@media (prefers-color-scheme: dark) { :root { --back: #14181b; --text: #e4e8ea; --dim: #9fabb4;
  --line: #333b41; --link: #7cc2ee; --code: #1f262a; --well: #6fcf97; --ill: #ff9f87; } }
body { background: var(--back); color: var(--text); font: 1rem/1.6 system-ui, sans-serif;
  max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.dim, footer { color: var(--dim); } a { color: var(--link); }
a:focus-visible, pre:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left; }
th { font-weight: 500; width: 35%; } .well { color: var(--well); } .ill { color: var(--ill); }
pre { background: var(--code); border-radius: .4rem; overflow-x: auto; padding: .9rem 1rem;
  font: .875rem/1.5 ui-monospace, monospace; } code { font-family: ui-monospace, monospace; }
ul { padding-left: 1.2rem; }
</style>
</head>
<body>
<header><h1>ehr-server</h1>
<p class="dim">$what · $release $version</p></header>
<main>
<h2>$address</h2>
<p><a href="/fhir/metadata"><code>$base</code></a></p>
<h2>$how</h2>
<table>$state</table>
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
