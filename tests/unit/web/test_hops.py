"""Who calls where proxies stand in between: https://www.rfc-editor.org/rfc/rfc7239."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest

from ehr_server.web.hops import Hops, Receive, Scope, Send, is_within, whose

_PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48")))
_OUTSIDE = "203.0.113.9"


def _seen(peer: str, headers: dict[str, str], header: Any = "x-forwarded") -> tuple[str, str, str]:
    """Address, scheme and host that the app is told."""
    seen = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    raw = [(b"host", b"inside"), *((k.lower().encode(), v.encode()) for k, v in headers.items())]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": raw}
    asyncio.run(Hops(app, _PROXIES, header)(scope, None, None))  # type: ignore[arg-type]
    (told,) = seen
    hosts = [value.decode() for name, value in told["headers"] if name == b"host"]
    assert len(hosts) == 1
    return told["client"][0], told["scheme"], hosts[0]


FORWARDED_FOR = [
    # X-Forwarded-For, whom the app sees
    ("203.0.113.9", "203.0.113.9"),
    ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first is what the client wrote
    ("127.0.0.1, 203.0.113.9", "203.0.113.9"),  # forged, as if it came from this machine
    ("203.0.113.9, 10.1.2.3", "203.0.113.9"),  # two proxies
    ("198.51.100.1, 203.0.113.9, 10.1.2.3, 127.0.0.1", "203.0.113.9"),
    ("10.1.2.3, 10.1.2.4", "10.1.2.3"),  # from within: nobody but proxies
    ("203.0.113.9:4711", "203.0.113.9"),
    ("[2001:db8:2::7]:4711", "2001:db8:2::7"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("2001:db8:2::7, 2001:db8:1::1", "2001:db8:2::7"),
    ("unknown", "127.0.0.1"),
    ("203.0.113.9, _hidden", "127.0.0.1"),
    ("203.0.113.9, <script>, 10.1.2.3", "10.1.2.3"),
    ("", "127.0.0.1"),
    (",".join(["10.0.0.1"] * 5000), "10.0.0.1"),
]


@pytest.mark.parametrize(("sent", "client"), FORWARDED_FOR, ids=lambda one: str(one)[:40])
def test_the_last_address_that_is_no_proxy_is_the_client(sent: str, client: str) -> None:
    assert _seen("127.0.0.1", {"X-Forwarded-For": sent})[0] == client


FORWARDED = [
    ("for=203.0.113.9;proto=https;host=ehr.example.vn", (_OUTSIDE, "https", "ehr.example.vn")),
    ('For="203.0.113.9:47011" ; Proto=HTTPS', (_OUTSIDE, "https", "inside")),
    ('for="[2001:db8:2::7]:4711"', ("2001:db8:2::7", "http", "inside")),
    ("for=127.0.0.1;host=evil, for=203.0.113.9;host=ehr", (_OUTSIDE, "http", "ehr")),
    ("for=198.51.100.1, for=203.0.113.9;host=a, for=10.0.0.1;host=b", (_OUTSIDE, "http", "a")),
    # A quote that the client leaves open takes nothing of what the proxy adds.
    ('for=127.0.0.1, for="x, for="203.0.113.9"', (_OUTSIDE, "http", "inside")),
    ('for=127.0.0.1;x="a\\, for=203.0.113.9', (_OUTSIDE, "http", "inside")),
    ("for=_hidden;proto=https", ("127.0.0.1", "https", "inside")),
    ("proto=javascript;for=203.0.113.9", (_OUTSIDE, "http", "inside")),
    ("", ("127.0.0.1", "http", "inside")),
    (";;=,,;", ("127.0.0.1", "http", "inside")),
]


@pytest.mark.parametrize(("sent", "seen"), FORWARDED, ids=str)
def test_forwarded_of_rfc_7239(sent: str, seen: tuple[str, str, str]) -> None:
    assert _seen("127.0.0.1", {"Forwarded": sent}, "forwarded") == seen


def test_scheme_and_host_are_those_of_the_nearest_proxy() -> None:
    headers = {
        "X-Forwarded-For": "198.51.100.1, 203.0.113.9",
        "X-Forwarded-Proto": "ftp, https",
        "X-Forwarded-Host": "evil.example, ehr.example.vn",
    }
    assert _seen("127.0.0.1", headers) == (_OUTSIDE, "https", "ehr.example.vn")
    del headers["X-Forwarded-For"]  # a proxy that does not say who
    assert _seen("127.0.0.1", headers) == ("127.0.0.1", "https", "ehr.example.vn")


def test_nobody_else_is_believed() -> None:
    headers = {
        "X-Forwarded-For": "198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=198.51.100.1;proto=https;host=evil.example",
    }
    for header in ("x-forwarded", "forwarded"):
        assert _seen(_OUTSIDE, headers, header) == (_OUTSIDE, "http", "inside")


def test_the_header_that_the_proxy_does_not_set_is_not_read() -> None:
    """A proxy that sets one of the two hands on the other as the client wrote it."""
    one, other = {"X-Forwarded-For": "198.51.100.1"}, {"Forwarded": "for=198.51.100.1"}
    assert _seen("127.0.0.1", one, "forwarded")[0] == "127.0.0.1"
    assert _seen("127.0.0.1", other, "x-forwarded")[0] == "127.0.0.1"


def test_networks() -> None:
    assert is_within("10.255.0.1", _PROXIES)
    assert is_within("::ffff:10.0.0.1", _PROXIES)
    assert not is_within("11.0.0.1", _PROXIES)
    assert not is_within("testclient", _PROXIES)


def test_all_addresses_of_one_customer_are_one_client() -> None:
    assert whose("2001:db8:2:3:1::7") == whose("2001:db8:2:3:ffff::8") == "2001:db8:2:3::/64"
    assert whose("2001:db8:2:4::7") != whose("2001:db8:2:3::7")
    assert whose("203.0.113.9") == "203.0.113.9"
