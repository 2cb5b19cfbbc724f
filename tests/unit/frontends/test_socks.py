"""The SOCKS front end: dials what is asked for, relays, and tells failures in SOCKS's own codes."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.frontends.visiting import Destination, Watch, visiting
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset
from underpass.frontends import socks
from underpass.frontends.socks import SocksFrontEnd, SocksLogin
from underpass.net.early import EarlyData
from underpass.net.stream import Stream
from underpass.observe import Counter

HELLO = b"\x05\x01\x00"
ASK = b"\x05\x01\x00\x03\x06a.test\x01\xbb"
OPENED = b"\x05\x00\x00\x01" + bytes(6)
FOUR = b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00a.test\x00"


async def test_a_version_5_client_is_served_to_its_end() -> None:
    there, watch = Destination(), Watch()
    async with visiting(SocksFrontEnd(there.dial, watch.observer)) as visit:
        await visit.client.send(HELLO)
        assert await visit.exactly(2) == b"\x05\x00"
        await visit.client.send(ASK)
        assert await visit.exactly(10) == OPENED
        destination = await there.arrived()
        await visit.client.send(b"up")
        assert await destination.receive() == b"up"
        await destination.send(b"down")
        await destination.send_eof()
        assert await visit.rest() == b"down"
        await visit.client.send_eof()
        assert await destination.receive() == b""
        await visit.serving
    assert there.asked == [Address("a.test", 443)]
    [record] = watch.records
    assert (record.method, record.address, record.status) == ("SOCKS", "a.test:443", 200)
    assert (record.sent, record.received, record.reason) == (2, 4, "ok")
    assert watch.counters.value(Counter.TUNNELS_OPEN) == 0


async def test_a_version_4a_client_is_served() -> None:
    there = Destination()
    async with visiting(SocksFrontEnd(there.dial, Watch().observer)) as visit:
        await visit.client.send(FOUR)
        assert await visit.exactly(8) == b"\x00\x5a" + bytes(6)
        await visit.client.send(b"up")
        assert await (await there.arrived()).receive() == b"up"


async def test_what_came_early_is_the_destinations() -> None:
    there = Destination()
    async with visiting(SocksFrontEnd(there.dial, Watch().observer)) as visit:
        await visit.client.send(HELLO + ASK + b"early")
        assert await visit.exactly(12) == b"\x05\x00" + OPENED
        assert await (await there.arrived()).receive() == b"early"


async def test_what_came_early_goes_with_the_dial_where_it_can() -> None:
    there, watch = Destination(), Watch()
    said: list[bytes] = []

    async def dial(address: Address, early: EarlyData) -> Stream:
        early.begin(said.append)
        early.stop()
        return await there.dial(address)

    front_end = SocksFrontEnd(there.dial, watch.observer, early=dial)
    async with visiting(front_end) as visit:
        await visit.client.send(HELLO + ASK + b"early")
        assert await visit.exactly(12) == b"\x05\x00" + OPENED
        await visit.client.send_eof()
        await (await there.arrived()).send_eof()
        await visit.serving
    assert said == [b"early"]
    assert watch.records[0].sent == len(b"early")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.IP_PROHIBITED, 2),
        (Failure.CONNECTION_REFUSED, 5),
        (Failure.DNS_ERROR, 4),
        (Failure.TUNNEL_DOWN, 1),
    ],
)
async def test_a_failed_dial_is_told_in_its_code(failure: Failure, code: int) -> None:
    there, watch = Destination(DialError(failure, "why")), Watch()
    async with visiting(SocksFrontEnd(there.dial, watch.observer)) as visit:
        await visit.client.send(HELLO + ASK)
        assert await visit.rest() == b"\x05\x00\x05%c\x00\x01" % code + bytes(6)
        await visit.serving
    [record] = watch.records
    assert record.status == failure.status
    assert record.reason.endswith("why")
    assert watch.counters.value(Counter.REFUSALS) == 1


async def test_a_login_lets_in_and_keeps_out() -> None:
    there = Destination()
    front_end = SocksFrontEnd(there.dial, Watch().observer, SocksLogin("alice", "secret"))
    async with visiting(front_end) as visit:
        await visit.client.send(b"\x05\x01\x02" + b"\x01\x05alice\x06secret" + ASK)
        assert await visit.exactly(14) == b"\x05\x02\x01\x00" + OPENED
    async with visiting(front_end) as visit:
        await visit.client.send(b"\x05\x01\x02" + b"\x01\x05alice\x05wrong" + ASK)
        assert await visit.rest() == b"\x05\x02\x01\x01"
    async with visiting(front_end) as visit:
        await visit.client.send(HELLO)
        assert await visit.rest() == b"\x05\xff"
    assert len(there.asked) == 1
    assert "secret" not in repr(SocksLogin("alice", "secret"))


async def test_what_is_no_socks_is_cut_without_an_answer() -> None:
    there, watch = Destination(), Watch()
    async with visiting(SocksFrontEnd(there.dial, watch.observer)) as visit:
        await visit.client.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(StreamReset):
            await visit.rest()
    assert watch.records[0].reason == "not SOCKS"
    assert there.asked == []


async def test_a_client_that_leaves_within_its_request_is_noted() -> None:
    watch = Watch()
    async with visiting(SocksFrontEnd(Destination().dial, watch.observer)) as visit:
        await visit.client.send(HELLO + ASK[:5])
        await visit.client.send_eof()
        await visit.serving
    assert watch.records[0].reason == "ended within the request"


async def test_a_request_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socks, "REQUEST_SECONDS", 0.01)
    watch = Watch()
    async with visiting(SocksFrontEnd(Destination().dial, watch.observer)) as visit:
        await visit.client.send(HELLO)
        await visit.exactly(2)
        with pytest.raises(StreamReset):
            await visit.rest()
    assert watch.records[0].reason == "no whole request in time"


async def test_a_client_that_is_gone_when_the_stream_stands_leaves_nothing() -> None:
    there = Destination(hangs=True)

    async def dial(address: Address) -> Stream:
        visit.client.abort()
        there.hangs = False
        return await there.dial(address)

    watch = Watch()
    async with visiting(SocksFrontEnd(dial, watch.observer)) as visit:
        await visit.client.send(HELLO + ASK)
        await visit.serving
        with pytest.raises(StreamReset):
            await (await there.arrived()).receive()
    assert "reset" in watch.records[0].reason


async def test_a_bug_ends_one_client(caplog: pytest.LogCaptureFixture) -> None:
    async def dial(address: Address) -> Stream:
        raise ZeroDivisionError

    async with visiting(SocksFrontEnd(dial, Watch().observer)) as visit:
        await visit.client.send(HELLO + ASK)
        await visit.serving
    assert "SOCKS client 127.0.0.1 failed" in caplog.text


async def test_a_client_that_is_ended_leaves_nothing() -> None:
    there = Destination()
    async with visiting(SocksFrontEnd(there.dial, Watch().observer)) as visit:
        await visit.client.send(HELLO + ASK)
        destination = await there.arrived()
        await visit.exactly(12)
        visit.serving.cancel()
        await asyncio.wait((visit.serving,))
        with pytest.raises(StreamReset):
            await destination.receive()
