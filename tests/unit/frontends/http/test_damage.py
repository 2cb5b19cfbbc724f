"""Damaged dialogues: whatever comes from either side, nothing of ours breaks and all is in form."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frontends.http.dialogue import Dialled
from tests.unit.net.test_message_stream import Scripted
from underpass.address import Address
from underpass.frontends.http import FrontEndOptions, HttpFrontEnd
from underpass.net.gate import Gate, GateLimits
from underpass.net.stream import RECEIVE_SIZE, Stream
from underpass.observe import AccessRecord, Observer
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.message import RequestReader, Signal

REQUESTS = [
    b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://h/ HTTP/1.0\r\n\r\n",
    b"HEAD http://h/a?b HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE, x\r\n\r\n",
    b"POST http://h/ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
    b"Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    b"GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
    b"TRACE http://h/ HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nhello",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nConnection: x\r\nX: y\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
]
PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b"0",
        b"\xff",
        b"\r\n\r\n",
        b"0\r\n\r\n",
    ),
    *(b"\r\nHost:", b"\r\nHost: x", b"\r\nVia: 1.1", b"\r\nVia:", b"\r\nTE:", b"\r\nUpgrade:"),
    *(b"\r\nUpgrade: a", b"\r\nConnection:", b"\r\nConnection: upgrade, close, te, via, host"),
    *(b"\r\nContent-Length: 5", b"\r\nTransfer-Encoding: chunked", b"\r\nMax-Forwards: 1"),
    *(b"\r\nExpect: 100-continue", b"\r\nTrailer: x", b"\r\n: x", b"\r\nX:\x01", b" HTTP/1.1\r\n"),
]
damage = st.tuples(st.integers(0, 200), st.integers(0, 8), st.sampled_from(PIECES))


def damaged(data: bytes, places: list[tuple[int, int, bytes]]) -> bytes:
    """`data` with pieces in place of some of its bytes."""
    for place, gone, piece in places:
        at = place % len(data)
        data = data[:at] + piece + data[at + gone :]
    return data


class Ended(Scripted):
    """Ends after what it is told to receive."""

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        return await super().receive(limit) if self.pieces else b""


class Damaged(Dialled):
    """Servers that all answer the same, and what each of them was sent."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer
        self.servers: list[Ended] = []

    async def _dial(self, address: Address) -> Stream:
        self.servers.append(Ended(self.answer))
        return self.servers[-1]


def check_requests(sent: bytes) -> None:
    """What a server was sent is requests in form, each with one Host and our Via."""
    reader = RequestReader()
    reader.receive_data(sent)
    while (event := reader.next_event()) is not Signal.NEED_DATA:
        if isinstance(event, RequestHead):
            assert len(event.fields.get_all(b"host")) == 1
            assert event.fields.get_all(b"via")[-1].endswith(b" underpass")
        if event is Signal.PAUSED:
            reader.start_next()


@pytest.mark.slow
@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3),
    st.lists(damage, max_size=3),
    st.sampled_from(RESPONSES),
    st.lists(damage, max_size=2),
)
def test_nothing_breaks_and_what_goes_on_is_in_form(
    requests: list[bytes],
    request_damage: list[tuple[int, int, bytes]],
    response: bytes,
    response_damage: list[tuple[int, int, bytes]],
) -> None:
    said = damaged(b"".join(requests), request_damage)
    client = Ended(said)
    outbound = Damaged(damaged(response, response_damage))
    records: list[AccessRecord] = []

    async def dialogue() -> None:
        options = FrontEndOptions(head_timeout=1, response_timeout=1)
        front_end = HttpFrontEnd(outbound, Observer(sink=records.append), options)
        ticket = Gate(GateLimits()).admit("127.0.0.1")
        assert ticket is not None
        async with asyncio.timeout(5):
            await front_end.serve(client, ticket)

    asyncio.run(dialogue())
    assert [record for record in records if record.status in (0, 500)] == []
    assert [record for record in records if "bug" in record.reason] == []
    for server in outbound.servers:
        if not any(word in said for word in (b"CONNECT", b"Upgrade")):
            check_requests(b"".join(server.sent))
