"""One setting: what may be said of it, and what a text that says it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "EHR_"
_FILE = "_FILE"  # EHR_DATABASE_URL_FILE: of a setting that is a secret, where its value lies


class SettingError(ValueError):
    """A setting has a value that it cannot have; the text names the setting and what it takes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: what `--help` and the documentation say about a setting."""

    name: str
    kind: type[str] | type[int] | type[bool] | type[Path]
    choices: tuple[str, ...]  # empty: any
    is_optional: bool
    default: str | int | bool | Path | None
    help: str
    least: int | None
    most: int | None
    is_secret: bool

    @property
    def option(self) -> str:
        """Its name on the command line, such as `--data-dir`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment, such as `EHR_DATA_DIR`."""
        return PREFIX + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """What may stand in the environment of it: a secret may lie in a file that is named."""
        return (self.variable, self.variable + _FILE) if self.is_secret else (self.variable,)

    def given(self, variables: Mapping[str, str | None]) -> str | None:
        """What the environment says of it, None if nothing.

        Raises `SettingError` where a file is named that cannot be read, is empty, or beside a
        value.
        """
        value = variables.get(self.variable)
        path = variables.get(self.variable + _FILE) if self.is_secret else None
        if path is None:
            return value
        if value is not None:
            raise SettingError(
                f"{self.variable} and {self.variable}{_FILE} are both given: leave out one"
            )
        try:
            found = Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise SettingError(f"{self.variable}{_FILE}: {path} cannot be read: {reason}") from None
        if not found.strip():  # else there would be no encryption, or another database
            raise SettingError(f"{self.variable}{_FILE}: {path} is empty")
        return found

    def read(self, text: object) -> Any:
        """The value that a text (or a value already of the type) stands for; else SettingError."""
        if self.is_optional and text in ("", None):
            return None
        kind: Any = _yes_or_no if self.kind is bool else self.kind
        try:
            value = kind(text)
        except (TypeError, ValueError):
            raise self._wrong(text) from None
        if (
            (self.choices and value not in self.choices)
            or (self.least is not None and value < self.least)
            or (self.most is not None and value > self.most)
        ):
            raise self._wrong(text)
        return value

    def _wrong(self, text: object) -> SettingError:
        if self.choices:
            expected = "one of " + ", ".join(self.choices)
        elif self.kind is int:
            expected = "a whole number"
            expected += f", at least {self.least}" if self.least is not None else ""
            expected += f", at most {self.most}" if self.most is not None else ""
        else:
            expected = {bool: "yes or no", Path: "a path"}.get(self.kind, "a text")
        shown = "a value" if self.is_secret else repr(text)
        return SettingError(f"{self.option} ({self.variable}) takes {expected}, not {shown}")


def _yes_or_no(text: object) -> bool:
    answers = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    answers |= {"on": True, "off": False, "": False}
    try:
        return answers[str(text).strip().lower()]
    except KeyError:
        raise ValueError(text) from None
