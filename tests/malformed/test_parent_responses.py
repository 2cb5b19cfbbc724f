"""Malformed answers of an upstream proxy to CONNECT: no tunnel, and a 502 that says whose fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import uvloop

from tests.malformed.case import Case, Fate
from tests.malformed.responses import RESPONSES
from tests.malformed.stage import LOOPBACK, Stage, read_all, stage

# What frames a body says nothing to a 2xx that opens a tunnel; the head must be one all the same.
CASES = [
    case
    for case in RESPONSES
    if case.kind in ("status", "end", "field", "cut") and case.fate is Fate.NOTHING
]

IGNORED = (
    b"Content-Length: 5",
    b"Content-Length: x",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: cow",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
)


@pytest.fixture(scope="module")
def wire() -> Iterator[Stage]:
    with stage(uvloop.new_event_loop, through_origin=True) as running:
        yield running


def connect(wire: Stage) -> bytes:
    with wire.connect() as client:
        client.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: h\r\n\r\n")
        client.shutdown(1)
        return read_all(client)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_malformed_answer_to_connect_opens_no_tunnel(wire: Stage, case: Case) -> None:
    wire.origin.answer = case.bytes_for(LOOPBACK.encode(), wire.origin.port)
    wire.origin.ends = case.ends
    answer = connect(wire)
    assert answer.startswith(b"HTTP/1.1 502 "), answer[:200]
    assert b"\r\nConnection: close" in answer
    assert b"evil" not in answer.lower()


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("fields", IGNORED)
def test_a_2xx_opens_a_tunnel_whatever_it_says_of_a_body(
    wire: Stage, fields: bytes, version: bytes
) -> None:
    wire.origin.answer = b"HTTP/%s 200 OK\r\n%s\r\n\r\nhello" % (version, fields)
    wire.origin.ends = True
    assert connect(wire) == b"HTTP/1.1 200 Connection established\r\n\r\nhello"
