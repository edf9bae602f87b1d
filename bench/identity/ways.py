"""The ways in which a facility asks for a person by a number: each a line of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from ehr_server.identity.kinds import kind_named
from harness.client import request

if TYPE_CHECKING:
    from collections.abc import Callable

    from campaign import Resident

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Way:
    """`number` writes the number of a resident; without a `system` it is sent bare.

    `is_known` False asks for somebody who is not there.
    """

    name: str
    system: str | None
    number: Callable[[Resident], str]
    method: str = "POST"
    is_known: bool = True

    def request(self, resident: Resident, host: str) -> bytes:
        """The whole search: `POST Patient/_search`, or a GET with the number in the address."""
        number = self.number(resident)
        token = number if self.system is None else f"{self.system}|{number}"
        if self.method == "GET":
            path = f"/fhir/Patient?identifier={quote(token, safe='')}"
            return request("GET", path, host)
        form = urlencode({"identifier": token}).encode("ascii")
        return request("POST", "/fhir/Patient/_search", host, form, FORM)


def _cccd(resident: Resident) -> str:
    return resident.cccd or ""


def _spaced(resident: Resident) -> str:
    number = _cccd(resident)
    return " ".join(number[at : at + 3] for at in range(0, len(number), 3))


def _card(resident: Resident) -> str:
    return resident.bhyt


def _tail(resident: Resident) -> str:
    return resident.bhyt[-10:]


def _nobodys(resident: Resident) -> str:
    """A number of a province that there is not."""
    return f"000{_cccd(resident)[3:]}"


def _place(system: str) -> str:
    """The end of a naming system, by which it can be told from the others of its kind."""
    host, name = system.split("://")[-1].split("/", 1)
    return f"{host} {name.rsplit('/', 1)[-1]}"


_CCCD = kind_named("cccd").systems
_BHYT = kind_named("bhyt").systems
_BHXH = kind_named("bhxh").systems

WAYS = (
    *(Way(f"CCCD, {_place(system)}", system, _cccd) for system in _CCCD),
    Way("CCCD with spaces", _CCCD[0], _spaced),
    Way("CCCD, bare number", None, _cccd),
    Way("CCCD, GET", _CCCD[0], _cccd, "GET"),
    *(Way(f"BHYT card, {_place(system)}", system, _card) for system in _BHYT),
    Way("BHYT card, bare number", None, _card),
    Way("BHYT, last 10 digits", _BHYT[0], _tail),
    *(Way(f"last 10 digits, {_place(system)}", system, _tail) for system in _BHXH[:1]),
    Way("last 10 digits, bare number", None, _tail),
    Way("nobody's CCCD", _CCCD[0], _nobodys, is_known=False),
)
