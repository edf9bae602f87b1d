"""Writes docs/reference/settings.md from the table of settings."""

from pathlib import Path

from ehr_server.setting import Setting
from ehr_server.settings import TABLE

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"

_HEAD = """\
# Settings

Made from `src/ehr_server/settings.py` by `tools/make_settings_page.py`. Each setting is an option
of the command line, a variable of the environment, or a line of `.env` in the working folder. The
command line wins over the environment, the environment over `.env`, `.env` over the default.

Of a setting with two variables the second names a file that holds the value and nothing else, such
as a secret that is mounted into a container: then it stands in no list of processes or variables.
Both together are an error; a line break at the end of the file is left out.

| option | variable | takes | default | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def _line(row: Setting) -> str:
    takes = " or ".join(f"`{choice}`" for choice in row.choices) or _kind(row)
    default = "" if row.default is None else f"`{row.default}`"
    if row.kind is bool:
        default = "no"
    meaning = row.help.replace("|", "\\|")
    variables = " or ".join(f"`{one}`" for one in row.variables)
    return f"| `{row.option}` | {variables} | {takes} | {default} | {meaning} |\n"


def _kind(row: Setting) -> str:
    if row.kind is int:
        bounds = [f"from {row.least}"] if row.least is not None else []
        bounds += [f"to {row.most}"] if row.most is not None else []
        return " ".join(["number", *bounds])
    return {bool: "yes or no", Path: "path"}.get(row.kind, "text")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
