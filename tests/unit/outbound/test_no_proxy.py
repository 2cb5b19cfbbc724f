"""NO_PROXY: what it covers, and that nothing breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.outbound.no_proxy import NoProxy


@pytest.mark.parametrize(
    ("text", "covered", "others"),
    [
        ("*", ["a.example:1", "10.0.0.1:443", "[::1]:80"], []),
        ("example.com", ["example.com:443", "a.example.com:80"], ["anexample.com:443"]),
        (".example.com", ["a.b.example.com:443", "example.com:80"], ["example.org:443"]),
        ("*.example.com", ["a.example.com:443"], ["example.org:443"]),
        ("EXAMPLE.com.", ["example.com:443"], ["com:443"]),
        ("example.com:8080", ["example.com:8080", "a.example.com:8080"], ["example.com:443"]),
        ("10.0.0.0/8", ["10.1.2.3:443"], ["11.0.0.1:443", "ten.example:443", "[::a00:1]:443"]),
        ("10.0.0.7/8", ["10.1.2.3:443"], []),
        ("192.0.2.1", ["192.0.2.1:443"], ["192.0.2.2:443"]),
        ("192.0.2.1:8080", ["192.0.2.1:8080"], ["192.0.2.1:443"]),
        ("2001:db8::/32", ["[2001:db8::1]:443"], ["[2001:db9::1]:443", "192.0.2.1:443"]),
        ("[2001:db8::1]", ["[2001:db8::1]:443"], ["[2001:db8::2]:443"]),
        ("[2001:db8::1]:8080", ["[2001:db8::1]:8080"], ["[2001:db8::1]:443"]),
        ("::1", ["[::1]:443"], ["127.0.0.1:443"]),
        ("localhost, .corp  10.0.0.0/8", ["localhost:1", "a.corp:2", "10.9.9.9:3"], ["x.y:4"]),
        ("", [], ["a.example:443"]),
        (",, ,", [], ["a.example:443"]),
        ("a..b,10.0.0.0/99,:80,host:port:", [], ["a.example:443", "host:80"]),
    ],
)
def test_a_list_covers_what_it_names(text: str, covered: list[str], others: list[str]) -> None:
    no_proxy = NoProxy(text)
    assert [one for one in covered if not no_proxy.covers(Address.parse(one))] == []
    assert [one for one in others if no_proxy.covers(Address.parse(one))] == []


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PORT = st.integers(1, 65535)


@given(st.text(max_size=200), NAME, PORT)
def test_any_text_is_a_list(text: str, host: str, port: int) -> None:
    assert NoProxy(text).covers(Address(host, port)) in (True, False)


@given(NAME, NAME, PORT)
def test_a_name_covers_what_is_below_it_and_with_a_port_only_that(
    name: str, below: str, port: int
) -> None:
    address = Address(f"{below}.{name}", port)
    for text in (name, f".{name}", f"*.{name}", f"{name}:{port}", f"other.example {name}"):
        assert NoProxy(text).covers(address)
    assert not NoProxy(f"{name}:{port % 65535 + 1}").covers(address)
    assert not NoProxy(f"x{name}").covers(Address(name, port))


@given(st.ip_addresses(v=4), st.integers(0, 32), PORT)
def test_a_network_covers_its_addresses(ip: object, bits: int, port: int) -> None:
    assert NoProxy(f"{ip}/{bits}").covers(Address(str(ip), port))
