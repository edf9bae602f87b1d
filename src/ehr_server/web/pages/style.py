"""How the pages look, by day and by night. They hold no script and load nothing."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Vary": "Accept-Language",
}

STYLE = """\
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
"""
