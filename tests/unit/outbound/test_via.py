"""Upstream proxies as their URLs name them, and chains of them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.address import Address
from underpass.outbound.via import DEFAULT_PORTS, MAX_CHAIN, Via, parse_chain


@pytest.mark.parametrize(
    ("text", "scheme", "address", "user", "password"),
    [
        ("http://proxy.example:3128", "http", "proxy.example:3128", "", ""),
        ("HTTP://Proxy.Example", "http", "proxy.example:80", "", ""),
        ("https://proxy.example/", "https", "proxy.example:443", "", ""),
        ("socks5://[::1]", "socks5", "[::1]:1080", "", ""),
        ("socks5h://p", "socks5", "p:1080", "", ""),
        ("socks://p:8", "socks5", "p:8", "", ""),
        ("http://me@10.0.0.1:8", "http", "10.0.0.1:8", "me", ""),
        ("http://me:p%40ss%3a@p:8", "http", "p:8", "me", "p@ss:"),
        ("http://DOM%5cme:x:y@p:8", "http", "p:8", "DOM\\me", "x:y"),
    ],
)
def test_via_parses(text: str, scheme: str, address: str, user: str, password: str) -> None:
    assert Via.parse(text) == Via(scheme, Address.parse(address), user, password)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "proxy:3128",
        "ftp://p:1",
        "http://",
        "http://:80",
        "http://p:0",
        "http://p:65536",
        "http://p:x",
        "http://p:1/path",
        "http://p:1?q",
        "http://p:1#f",
        "http://me:secret%0d@p:1",
        "http://me:secret%ff@p:1",
        "http://me:secret@[::1:1",
        "http://me:secret@127.1:1",
        "http://me:\tsecret@p:1",
        "http://:secret@p:1",
        "http://me:secret@a b:1",
        "http://me:secret@a\uff0fb:1",
    ],
)
def test_via_refuses_without_repeating_a_password(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Via.parse(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=200))
def test_via_raises_nothing_but_value_errors(text: str) -> None:
    try:
        Via.parse(f"http://{text}")
    except ValueError:
        return


def test_via_prints_without_its_password() -> None:
    via = Via.parse("http://m%20e:secret@p:1")
    assert str(via) == "http://m%20e:***@p:1"
    assert str(Via.parse("http://me@p:1")) == "http://me@p:1"
    assert "secret" not in repr(via)
    assert via.url == "http://m%20e:secret@p:1"
    assert Via.parse("http://p:1").url == "http://p:1"


@given(st.text(max_size=80), st.sampled_from(["", "http://", "https://u:p@", "socks5://"]))
def test_any_text_is_a_url_of_a_proxy_or_refused(text: str, before: str) -> None:
    try:
        proxy = Via.parse(before + text)
    except ValueError:
        return
    assert proxy.scheme in DEFAULT_PORTS
    assert proxy.name.endswith(str(proxy.address))


SECRET = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(st.sampled_from(sorted(DEFAULT_PORTS)), SECRET, SECRET, st.integers(1, 65535))
def test_what_is_quoted_comes_back(scheme: str, user: str, password: str, port: int) -> None:
    said = f"{quote(user, safe='')}:{quote(password, safe='')}"
    proxy = Via.parse(f"{scheme}://{said}@p.example:{port}")
    assert proxy == Via(scheme, Address("p.example", port), user, password)


def test_a_chain_is_a_list_of_urls() -> None:
    chain = parse_chain("http://p.example:3128, socks5://q.example")
    assert [proxy.name for proxy in chain] == ["p.example:3128", "socks5 q.example:1080"]


@pytest.mark.parametrize("text", ["", "http://p,", ",".join(["http://p"] * (MAX_CHAIN + 1))])
def test_what_is_no_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_chain(text)
