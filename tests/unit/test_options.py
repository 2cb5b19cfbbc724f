"""The options themselves: every one described, the upstream's URL, the defaults."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass import options
from underpass.address import Address
from underpass.options import Limits, ProxyOptions, Via, default_state


@pytest.mark.parametrize("owner", [ProxyOptions, Limits])
def test_every_option_is_described(owner: type) -> None:
    text = owner.__doc__ or ""
    for field in dataclasses.fields(owner):
        assert (
            f"\n    {field.name}: " in text
            or f" {field.name}: " in text
            or (f"{field.name}, " in text)
        ), field.name


def test_every_option_is_in_the_manual() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for owner in (ProxyOptions, Limits):
        for field in dataclasses.fields(owner):
            assert f"`{field.name}`" in manual, field.name


def test_every_option_is_followed_by_somebody() -> None:
    source = Path(options.__file__).parent
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    for owner in (ProxyOptions, Limits):
        for field in dataclasses.fields(owner):
            # A password from a file is followed as the one in `via`.
            assert f".{field.name}" in text or field.name == "via_password_file", field.name


@pytest.mark.parametrize(
    ("text", "scheme", "address", "user", "password"),
    [
        ("http://proxy.example:3128", "http", "proxy.example:3128", "", ""),
        ("HTTP://Proxy.Example", "http", "proxy.example:80", "", ""),
        ("https://proxy.example/", "https", "proxy.example:443", "", ""),
        ("socks5://[::1]", "socks5", "[::1]:1080", "", ""),
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


@pytest.mark.parametrize(
    ("variable", "state"),
    [("/srv/state", Path("/srv/state/underpass")), ("", Path("~/.local/state/underpass"))],
)
def test_the_state_is_kept_where_the_system_says(
    monkeypatch: pytest.MonkeyPatch, variable: str, state: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    assert default_state() == state.expanduser()


def test_processes_are_the_workers_or_one_a_cpu() -> None:
    assert ProxyOptions(workers=3).processes == 3
    assert ProxyOptions(workers=0).processes == len(os.sched_getaffinity(0))
