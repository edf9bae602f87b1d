"""Who calls, where proxies stand in between: their word counts, and nobody else's.

Of the addresses that a request came by, each proxy adds the one it was called from. Read from the
end, the first that is no trusted proxy is the client: what stands before it anybody may have
written. https://www.rfc-editor.org/rfc/rfc7239#section-5.2, and section 8.1 on why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from ehr_server.settings import Network

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Address = IPv4Address | IPv6Address

_HOPS_MAX = 32  # looked at, from the end
_ADDRESS_MAX = 64  # characters: what is remembered may not be of any length
_WHOSE_V6 = 64  # bits: what one customer has of IPv6
_SCHEMES = ("http", "https")


class Told(NamedTuple):
    """What a proxy says of whom it was called by: `host` and `scheme` are "" where it does not."""

    address: str
    host: str = ""
    scheme: str = ""


class Hops:
    """The app, told the client's own address, scheme and host where trusted proxies say them."""

    def __init__(
        self,
        app: App,
        trusted: Sequence[Network],
        header: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._told = _forwarded if header == "forwarded" else _x_forwarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and is_within(client[0], self._trusted):
            scope = self._seen_from_outside(scope)
        await self._app(scope, receive, send)

    def _seen_from_outside(self, scope: Scope) -> Scope:
        hops = self._told(scope["headers"])[-_HOPS_MAX:]
        known, host, scheme = scope["client"][0], "", ""
        for told in reversed(hops):
            host, scheme = told.host, told.scheme
            address = _address(told.address[:_ADDRESS_MAX])
            if address is None:  # "unknown", or hidden: the last one that is known
                break
            known = str(address)
            if not is_within(known, self._trusted):
                break
        seen = {**scope, "client": (known, 0)}
        if scheme in _SCHEMES:
            seen["scheme"] = scheme
        if host:
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            seen["headers"] = [(b"host", host.encode("latin-1")), *others]
        return seen


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks."""
    found = _address(address)
    return found is not None and any(found in network for network in networks)


def whose(address: str) -> str:
    """What stands for the one behind an address: of IPv6 the network, of which a customer has all
    addresses."""
    found = _address(address)
    if not isinstance(found, IPv6Address):
        return address
    return f"{IPv6Address(int(found) >> _WHOSE_V6 << _WHOSE_V6)}/{_WHOSE_V6}"


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _lists(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """All values of a header, in order, joined as HTTP allows: RFC 9110, 5.3."""
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)


def _x_forwarded(headers: Sequence[tuple[bytes, bytes]]) -> list[Told]:
    """Each address; scheme and host are those that the nearest proxy says, whoever it means."""
    host = _lists(headers, b"x-forwarded-host").rpartition(",")[2].strip()
    scheme = _lists(headers, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
    addresses = _lists(headers, b"x-forwarded-for")
    return [Told(one, host, scheme) for one in addresses.split(",")[-_HOPS_MAX:]]


def _forwarded(headers: Sequence[tuple[bytes, bytes]]) -> list[Told]:
    """https://www.rfc-editor.org/rfc/rfc7239#section-4. A comma ends an element, also between
    quotes: else a client that opens one would have what proxies add taken for its own."""
    return [_element(one) for one in _lists(headers, b"forwarded").split(",")[-_HOPS_MAX:]]


def _element(text: str) -> Told:
    pairs = dict[str, str]()
    for pair in text.split(";"):
        name, _, value = pair.partition("=")
        pairs[name.strip().lower()] = value.strip().strip('"')
    return Told(pairs.get("for", ""), pairs.get("host", ""), pairs.get("proto", "").lower())
