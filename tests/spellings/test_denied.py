"""Every spelling of what is denied, with every verb: refused, and nobody is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.spellings.stage import NameServer, Stage, stage
from tests.spellings.tables import (
    LITERALS,
    NAME_FORMS,
    NAMES,
    NO_ADDRESSES,
    TARGETS,
    odd_ipv4,
)

VERBS = {
    "CONNECT": b"CONNECT %s HTTP/1.1\r\nHost: h\r\n\r\n",
    "CONNECT 1.0": b"CONNECT %s HTTP/1.0\r\n\r\n",
    "GET": b"GET http://%s/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST": b"POST http://%s/ HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    "OPTIONS": b"OPTIONS http://%s HTTP/1.1\r\nHost: h\r\n\r\n",
    "WebSocket": b"GET ws://%s/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
}


def name_forms(name: str) -> Iterator[str]:
    mixed = "".join(c.upper() if at % 2 else c for at, c in enumerate(name))
    for form in NAME_FORMS:
        yield form.format(name, upper=name.upper(), mixed=mixed)


SPELLINGS: dict[str, int] = {
    **dict.fromkeys(LITERALS, 403),
    **dict.fromkeys(NO_ADDRESSES, 400),
    **{form: 400 for target in TARGETS for form in odd_ipv4(target)},
    **{form: 403 for name in NAMES for form in name_forms(name)},
}

# Whole authorities, where the port is what is denied.
PORTS = {
    "8.8.8.8:25": 403,
    "[2001:4860:4860::8888]:25": 403,
    "mail.example:25": 403,
    "127.0.0.1:25": 403,
    "8.8.8.8:0": 400,
    "8.8.8.8:00025": 400,
    "8.8.8.8:65561": 400,
    "127.0.0.1:{own}": 403,
    "localhost:{own}": 403,
    "[::ffff:127.0.0.1]:{own}": 403,
    "0.0.0.0:{own}": 403,
    "127.0.0.1:{metrics}": 403,
    "[::ffff:7f00:1]:{metrics}": 403,
}


@pytest.fixture(scope="module")
def wire() -> Iterator[Stage]:
    names = {**NAMES, "mail.example": ("8.8.8.8", "2001:4860:4860::8888")}
    with stage(NameServer(names)) as running:
        yield running


def _check(wire: Stage, authority: str, verb: str, status: int) -> None:
    head = wire.ask(VERBS[verb] % authority.encode("utf-8"))
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    if status == 403:
        assert b"error=destination_ip_prohibited" in head
    assert wire.visitors() == []


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("host", "status"), SPELLINGS.items(), ids=map(ascii, SPELLINGS))
def test_a_denied_host_is_refused(wire: Stage, host: str, status: int, verb: str) -> None:
    _check(wire, f"{host}:{wire.port}", verb, status)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("authority", "status"), PORTS.items())
def test_a_denied_port_is_refused(wire: Stage, authority: str, status: int, verb: str) -> None:
    metrics = wire.metrics.getsockname()[1]
    _check(wire, authority.format(own=wire.own_port, metrics=metrics), verb, status)


def test_there_are_enough_spellings() -> None:
    assert len(SPELLINGS) >= 200
