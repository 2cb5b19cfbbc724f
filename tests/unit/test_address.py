"""Addresses: one canonical spelling each, everything else refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address, ListenAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com:443", "example.com", 443),
        ("EXAMPLE.com.:1", "example.com", 1),
        ("localhost:65535", "localhost", 65535),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example", 80),
        ("under_score.example:80", "under_score.example", 80),
        ("1.2.3.4:80", "1.2.3.4", 80),
        ("[::1]:80", "::1", 80),
        ("[2001:DB8:0:0:0:0:0:1]:80", "2001:db8::1", 80),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1", 80),
        ("1a.example:80", "1a.example", 80),
        ("a" * 63 + ".example:80", "a" * 63 + ".example", 80),
    ],
)
def test_parse_gives_the_canonical_form(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":80",
        "h",
        "h:",
        "h:0",
        "h:00",
        "h:080",
        "h:+80",
        "h:-1",
        "h:65536",
        "h:999999",
        "h:8o",
        "h: 80",
        "h:80 ",
        " h:80",
        "h:80/",
        "h:80?",
        "h:80#",
        "u@h:80",
        "http://h:80",
        "::1:80",
        "[::1:80",
        "::1]:80",
        "[::1]80",
        "[::1]",
        "[h]:80",
        "[1.2.3.4]:80",
        "[::1%25eth0]:80",
        "[fe80::1%eth0]:80",
        "[::g]:80",
        "127.1:80",
        "127.0.1:80",
        "2130706433:80",
        "0x7f.1:80",
        "0x7f000001:80",
        "0177.0.0.1:80",
        "127.0.0.01:80",
        "127.0.0.1.:80",
        "127.0.0.256:80",
        "1.2.3.4.5:80",
        "a.0x1:80",
        "a.1:80",
        "a..b:80",
        ".a:80",
        "a..:80",
        "-a:80",
        "a-:80",
        "a b:80",
        "a%00b:80",
        "a\0b:80",
        "bücher.example:80",
        "１２７.0.0.1:80",
        "a" * 64 + ".example:80",
        "a." * 127 + "a:80",
        "h:٨٠",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address.parse(text)


def test_of_checks_the_port() -> None:
    for port in (0, 65536, -1):
        with pytest.raises(ValueError):
            Address.of("h", port)


@pytest.mark.parametrize(
    ("address", "text", "ip"),
    [
        (Address("h", 1), "h:1", None),
        (Address("1.2.3.4", 1), "1.2.3.4:1", ipaddress.ip_address("1.2.3.4")),
        (Address("::1", 1), "[::1]:1", ipaddress.ip_address("::1")),
    ],
)
def test_prints_as_it_parses(address: Address, text: str, ip: object) -> None:
    assert str(address) == text
    assert Address.parse(text) == address
    assert address.ip == ip


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_literal_parses_back(ip: object, port: int) -> None:
    address = Address.of(str(ip).partition("%")[0], port)
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40))
def test_text_raises_value_error_and_nothing_else(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0), True),
        ("[::1]:8080", ListenAddress("::1", 8080), True),
        ("localhost:8080", ListenAddress("localhost", 8080), True),
        ("0.0.0.0:8080", ListenAddress("0.0.0.0", 8080), False),
        ("[::]:0", ListenAddress("::", 0), False),
        ("proxy.example:3128", ListenAddress("proxy.example", 3128), False),
        ("unix:/run/proxy.sock", ListenAddress(None, 0, "/run/proxy.sock"), True),
    ],
)
def test_listen_addresses(text: str, address: ListenAddress, loopback: bool) -> None:
    assert ListenAddress.parse(text) == address
    assert str(address) == text
    assert address.is_loopback is loopback


@pytest.mark.parametrize(
    "text", ["", ":8080", "8080", "h", "unix:", "unix:a\0b", "h:65536", "UNIX:0", "unix.:80"]
)
def test_listen_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ListenAddress.parse(text)


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "1.2.3.4."])
def test_an_ipv4_has_one_spelling(host: str) -> None:
    with pytest.raises(ValueError, match="an IPv4 address is four decimal numbers"):
        Address.of(host, 80)
