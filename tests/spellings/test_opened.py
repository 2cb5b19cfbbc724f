"""What a rule opens is what was checked: that address, and no other that a name also has."""

from __future__ import annotations

import pytest

from tests.spellings.stage import NameServer, stage

CONNECT = b"CONNECT %s:%d HTTP/1.1\r\nHost: h\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 "
DENIED = b"HTTP/1.1 403 "
LOOP = b"HTTP/1.1 502 "


@pytest.mark.parametrize(
    "answers",
    [
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.2", "127.0.0.1"),
        ("::1", "127.0.0.1", "10.0.0.1", "127.0.0.2"),
        ("::ffff:127.0.0.2", "::ffff:127.0.0.1"),
        ("127.0.0.2", "127.0.0.2", "64:ff9b::7f00:1"),
    ],
)
def test_of_mixed_answers_only_the_allowed_one_is_dialled(answers: tuple[str, ...]) -> None:
    names = NameServer({"mixed.example": answers})
    with stage(names, ["127.0.0.2"]) as wire:
        assert wire.ask(CONNECT % (b"mixed.example", wire.port)).startswith(ESTABLISHED)
        assert wire.visitors() == ["127.0.0.2"]
        assert names.asked == ["mixed.example"]


def test_a_name_that_changes_after_the_check_is_dialled_where_it_was_checked() -> None:
    names = NameServer({"rebind.example": ["127.0.0.2"]})
    names.later["rebind.example"] = ["127.0.0.1"]
    with stage(names, ["127.0.0.2"]) as wire:
        assert wire.ask(CONNECT % (b"rebind.example", wire.port)).startswith(ESTABLISHED)
        assert wire.visitors() == ["127.0.0.2"]
        assert names.asked == ["rebind.example"]
        # Now it says 127.0.0.1, which is asked anew and denied.
        assert wire.ask(CONNECT % (b"rebind.example", wire.port)).startswith(DENIED)
        assert wire.visitors() == []


def test_a_rule_for_a_name_opens_the_address_that_it_had_at_that_dial() -> None:
    names = NameServer({"good.example": ["127.0.0.1"]})
    names.later["good.example"] = ["127.0.0.2"]
    with stage(names, ["good.example"]) as wire:
        for host in ("127.0.0.1", "127.0.0.2"):
            assert wire.ask(CONNECT % (b"GOOD.example.", wire.port)).startswith(ESTABLISHED)
            assert wire.visitors() == [host]
        assert wire.ask(CONNECT % (b"127.0.0.1", wire.port)).startswith(DENIED)
        assert wire.ask(CONNECT % (b"x.good.example", wire.port)).startswith(b"HTTP/1.1 502 ")
        assert wire.visitors() == []


@pytest.mark.parametrize(
    "rule", ["*", "*.example", "*:1-65535", "0.0.0.0/0", "::/0", "128.0.0.0/1"]
)
def test_a_rule_for_everything_opens_nothing_that_is_denied_by_default(rule: str) -> None:
    names = NameServer({"loop.example": ["127.0.0.1"], "mapped.example": ["::ffff:127.0.0.2"]})
    with stage(names, [rule]) as wire:
        for host in (b"loop.example", b"mapped.example", b"127.0.0.1", b"[::1]", b"127.0.0.2"):
            assert wire.ask(CONNECT % (host, wire.port)).startswith(DENIED), host
        assert wire.visitors() == []


@pytest.mark.parametrize(
    "host",
    [b"[2002:7f00:2::]", b"[64:ff9b::7f00:2]", b"[::127.0.0.2]", b"[::ffff:0:127.0.0.2]"],
)
def test_a_rule_for_an_ipv4_does_not_open_what_hides_it(host: bytes) -> None:
    with stage(NameServer({}), ["127.0.0.2"]) as wire:
        assert wire.ask(CONNECT % (host, wire.port)).startswith(DENIED)
        assert wire.visitors() == []


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"[::ffff:127.0.0.1]",
        b"[::ffff:7f00:1]",
        b"self.example",
        b"LOCALHOST.",
        b"0.0.0.0",
    ],
)
def test_our_own_listeners_are_no_destination_whatever_is_allowed(host: bytes) -> None:
    names = NameServer({"self.example": ["127.0.0.1"], "localhost": ["127.0.0.1"]})
    allow = ["127.0.0.0/8", "::1", "0.0.0.0", "self.example", "localhost"]
    with stage(names, allow) as wire:
        for port in (wire.own_port, wire.metrics.getsockname()[1]):
            head = wire.ask(CONNECT % (host, port))
            assert head.startswith(LOOP), head
            assert b"error=proxy_loop_detected" in head
        assert wire.visitors() == []


def test_port_25_is_opened_only_by_a_rule_that_names_it() -> None:
    with stage(NameServer({}), ["127.0.0.0/8"]) as wire:
        assert wire.ask(CONNECT % (b"127.0.0.1", 25)).startswith(DENIED)
    with stage(NameServer({}), ["127.0.0.0/8:25"]) as wire:
        # Nothing listens there: what matters is that it was tried.
        assert b"error=connection_refused" in wire.ask(CONNECT % (b"127.0.0.1", 25))
