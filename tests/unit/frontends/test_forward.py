"""A forward: every client goes to one address."""

from __future__ import annotations

import pytest

from tests.unit.frontends.visiting import Destination, Watch, visiting
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset
from underpass.frontends.forward import ForwardFrontEnd
from underpass.net.early import EarlyData
from underpass.net.stream import Stream
from underpass.testing.memory import stream_pair

WHERE = Address("db.internal", 5432)


async def test_a_client_goes_to_the_address() -> None:
    there, watch = Destination(), Watch()
    async with visiting(ForwardFrontEnd(there.dial, WHERE, watch.observer)) as visit:
        destination = await there.arrived()
        await destination.send(b"hello")
        assert await visit.exactly(5) == b"hello"
        await visit.client.send(b"up")
        assert await destination.receive() == b"up"
        await visit.client.send_eof()
        await destination.send_eof()
        await visit.serving
    assert there.asked == [WHERE]
    [record] = watch.records
    assert (record.method, record.address, record.status) == ("FORWARD", "db.internal:5432", 200)
    assert (record.sent, record.received) == (2, 5)


async def test_what_a_client_says_at_once_goes_with_the_dial() -> None:
    there, watch = Destination(), Watch()
    said: list[bytes] = []

    async def dial(address: Address, early: EarlyData) -> Stream:
        early.begin(said.append)
        early.stop()
        return await there.dial(address)

    front_end = ForwardFrontEnd(there.dial, WHERE, watch.observer, dial)
    client, accepted = stream_pair()
    await client.send(b"hello")
    async with visiting(front_end, (client, accepted)) as visit:
        destination = await there.arrived()
        await client.send_eof()
        await destination.send_eof()
        await visit.serving
    assert said == [b"hello"]
    assert (watch.records[0].sent, watch.records[0].received) == (5, 0)


async def test_a_failure_resets_the_client(caplog: pytest.LogCaptureFixture) -> None:
    there, watch = Destination(DialError(Failure.CONNECTION_REFUSED, "there")), Watch()
    async with visiting(ForwardFrontEnd(there.dial, WHERE, watch.observer)) as visit:
        with pytest.raises(StreamReset):
            await visit.rest()
    assert watch.records[0].status == 502
    assert "forward to db.internal:5432: connection refused: there" in caplog.text
