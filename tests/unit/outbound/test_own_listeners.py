"""Which destinations are this program itself."""

from __future__ import annotations

import ipaddress

import pytest

from underpass.address import IPAddress
from underpass.outbound.own_listeners import OwnListeners, is_local


def ip(text: str) -> IPAddress:
    return ipaddress.ip_address(text)


def listening(*addresses: tuple[str, int]) -> OwnListeners:
    own = OwnListeners()
    for host, port in addresses:
        own.add(host, port)
    return own


def test_an_exact_address_is_its_own_alone() -> None:
    own = listening(("127.0.0.1", 8080), ("::1", 8081))
    assert own.owns(ip("127.0.0.1"), 8080)
    assert own.owns(ip("::1"), 8081)
    for host, port in (("127.0.0.1", 8081), ("127.0.0.2", 8080), ("::1", 8080), ("192.0.2.1", 80)):
        assert not own.owns(ip(host), port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_unspecified_address_leads_to_whichever_listener_is_there(host: str) -> None:
    own = listening(("127.0.0.1", 8080))
    assert own.owns(ip(host), 8080)
    assert not own.owns(ip(host), 8081)


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_is_every_local_address(wildcard: str) -> None:
    own = listening((wildcard, 8080))
    for host in ("127.0.0.1", "127.1.2.3", "::1"):
        assert own.owns(ip(host), 8080)
        assert not own.owns(ip(host), 8081)
    for host in ("192.0.2.1", "2001:db8::1"):
        assert not own.owns(ip(host), 8080)


def test_an_address_of_this_machine_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_local(ip("127.0.0.9"))
    assert is_local(ip("::1"))
    # Documentation addresses are nobody's.
    assert not is_local(ip("198.51.100.1"))
    assert not is_local(ip("2001:db8::1"))


class Probe:
    """A socket whose packets would come from `name`; None: no route."""

    name: str | None = None

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None: ...

    def connect(self, _: object) -> None:
        if self.name is None:
            raise OSError("no route")

    def getsockname(self) -> tuple[str, int]:
        assert self.name is not None
        return self.name, 9


@pytest.mark.parametrize(
    ("source", "local"),
    [("192.0.2.7", True), ("192.0.2.8", False), (None, False)],
    ids=["itself", "another", "no route"],
)
def test_an_address_that_packets_to_it_would_come_from_is_local(
    monkeypatch: pytest.MonkeyPatch, source: str | None, local: bool
) -> None:
    monkeypatch.setattr("underpass.outbound.own_listeners.socket.socket", Probe)
    monkeypatch.setattr(Probe, "name", source)
    assert is_local(ip("192.0.2.7")) is local


def test_a_zone_of_the_source_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpass.outbound.own_listeners.socket.socket", Probe)
    monkeypatch.setattr(Probe, "name", "fe80::1%eth0")
    assert is_local(ip("fe80::1"))
