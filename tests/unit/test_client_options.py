"""The client's options: what they may be, and what clashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.address import Address, ListenAddress
from underpass.client_options import (
    CARRIERS,
    DEFAULT_HTTP,
    DEFAULT_SOCKS,
    ClientOptions,
    Forward,
    Through,
)
from underpass.config import load_client_options
from underpass.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "listen", "target"),
    [
        ("5432:db.internal:5432", "127.0.0.1:5432", "db.internal:5432"),
        ("0:db.internal:5432", "127.0.0.1:0", "db.internal:5432"),
        ("localhost:5432:db.internal:5432", "localhost:5432", "db.internal:5432"),
        ("[::1]:5432:[2001:db8::1]:22", "[::1]:5432", "[2001:db8::1]:22"),
        ("10.0.0.1:80:127.0.0.1:8080", "10.0.0.1:80", "127.0.0.1:8080"),
        ("/run/x.sock:db.internal:5432", "unix:/run/x.sock", "db.internal:5432"),
        ("./x.sock:db.internal:5432", "unix:./x.sock", "db.internal:5432"),
        ("unix:/run/x.sock:db.internal:5432", "unix:/run/x.sock", "db.internal:5432"),
    ],
)
def test_a_forward_is_written_as_for_ssh(text: str, listen: str, target: str) -> None:
    forward = Forward.parse(text)
    assert (str(forward.listen), str(forward.target)) == (listen, target)
    assert Forward.parse(str(forward)) == forward


@pytest.mark.parametrize(
    "text",
    ["", "5432", "5432:db", "5432:db:0", "a:b:c", "5432:db.internal:x", "::1:1:db:1", "99999:a:1"],
)
def test_what_is_no_forward_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Forward.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("http://a.test,socks5://b.test", "http://a.test:80,socks5://b.test:1080"),
        ("http://alice:secret@a.test:1", "http://alice:***@a.test:1"),
    ],
)
def test_a_way_out_prints_without_its_password(text: str, shown: str) -> None:
    assert str(Through.parse(text)) == shown
    assert "secret" not in repr(Through.parse(text))


@pytest.mark.parametrize("text", ["", "ftp://a.test", "http://a.test,", "auto,http://a.test"])
def test_what_is_no_way_out_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Through.parse(text)


def test_a_password_is_the_last_proxys() -> None:
    through = Through.parse("http://alice:one@a.test:1,socks5://bob@b.test:2")
    assert (through.scheme, through.user, through.password) == ("socks5", "bob", "one")
    assert through.with_password("two").chain[1].password == "two"
    assert through.with_password("two").chain[0].password == "one"
    assert (Through().user, Through().scheme, Through().password) == ("", "", "")


def test_all_can_stand_in_a_file_the_environment_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[client]\nsocks = ["127.0.0.1:1"]\nforward = ["2:db:3"]\ncarrier = "poll"\n'
        'via = "http://alice@a.test"\nmethods = "GET,POST"\nlog = "json"\n'
    )
    environ = {"UNDERPASS_CARRIER": "get", "UNDERPASS_VIA_PASSWORD": "secret"}
    options = load_client_options([file], environ, {"socks": ["127.0.0.1:4"], "http": None})
    assert options.socks == (ListenAddress("127.0.0.1", 4),)
    assert options.forward == (Forward(ListenAddress("127.0.0.1", 2), Address("db", 3)),)
    assert (options.carrier, options.log) == ("get", "json")
    assert options.via.password == "secret"
    assert options.methods.allowed == {"GET", "POST"}


def test_of_several_files_the_later_is_stronger(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[client]\ncarrier = "poll"\nlog = "json"\n')
    second.write_text('[profile]\nurl = "x"\n[client]\ncarrier = "get"\n')
    options = load_client_options([first, second])
    assert (options.carrier, options.log) == ("get", "json")


def test_a_password_in_the_environment_is_no_error_without_a_proxy() -> None:
    options = load_client_options([], {"UNDERPASS_VIA_PASSWORD": "secret", "UNDERPASS_VIA": "none"})
    assert options.via == Through()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"socks": ["0.0.0.0:1080"]}, "can be reached by other machines.*login_file"),
        ({"http": ["[::]:8080"]}, "can be reached by other machines.*login_file"),
        ({"forward": ["0.0.0.0:1:a:2"], "login_file": "x"}, "a forward asks nobody"),
        ({"socks": ["127.0.0.1:1"], "http": ["127.0.0.1:1"]}, "the same address twice"),
        ({"carrier": "pigeon"}, "--carrier: expected auto, websocket, stream, poll, get"),
        ({"methods": "HEAD"}, "--methods: expected some of"),
        ({"via": "ftp://x"}, "--via: "),
        ({"forward": ["1:2"]}, "--forward: .*expected .BIND:.PORT:HOST:PORT"),
    ],
)
def test_what_clashes_stops_the_start(flags: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_client_options([], {}, flags)


def test_an_exposed_front_end_with_a_login_may_start() -> None:
    flags = {"socks": ["0.0.0.0:1080"], "login_file": "login"}
    assert load_client_options([], {}, flags).login_file == Path("login")


def test_without_listeners_there_are_two_and_with_any_no_others() -> None:
    options = ClientOptions().with_listeners
    assert (options.socks, options.http) == (DEFAULT_SOCKS, DEFAULT_HTTP)
    only = ClientOptions(forward=(Forward.parse("1:a:2"),)).with_listeners
    assert (only.socks, only.http) == ((), ())


def test_each_kind_of_carrier_can_be_chosen() -> None:
    for name in CARRIERS:
        assert load_client_options([], {}, {"carrier": name}).carrier == name
