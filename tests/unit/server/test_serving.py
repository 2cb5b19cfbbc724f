"""One stream of a tunnel: asked of the policy, dialled, relayed, recorded; or refused with why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, origin
from tests.unit.server.town import Town, town
from underpass.access import Policy, Principal
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset, UserError
from underpass.net.joint import Joiner, Joint
from underpass.net.relay import RelayTimeouts
from underpass.net.stream import Stream
from underpass.observe import AccessRecord, Counter
from underpass.outbound.guard import Guard
from underpass.protocol.frames import Kind
from underpass.server import serving
from underpass.server.serving import ServingOptions
from underpass.server.user_store import UserLimits
from underpass.tunnel.tunnel import Tunnel

FAR = Address("destination.example", 7)


class Slow(Guard):
    """Dials that end when the test says so."""

    def __init__(self, town: Town) -> None:
        guard = town.guard
        super().__init__(Policy(), guard._outbound, guard._own)
        self.dialled = asyncio.Semaphore(0)
        self.under_way = 0
        self.cancelled = asyncio.Event()
        self.outcome: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
        town.server.replace(self, ServingOptions())

    async def dial(self, principal: Principal, address: Address) -> Stream:
        self.under_way += 1
        self.dialled.release()
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.under_way -= 1


def address(name: bytes) -> Address:
    return Address.parse(name.decode("ascii"))


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))
    await visitor.rest()


async def resetting(visitor: RawClient) -> None:
    await visitor.exactly(4)
    visitor.reset()


async def recorded(it: Town) -> AccessRecord:
    async with asyncio.timeout(5):
        while not it.records:
            await asyncio.sleep(0)
    return it.records[-1]


async def refusal(tunnel: Tunnel, where: Address = FAR) -> DialError:
    with pytest.raises(DialError) as caught:
        await tunnel.open(where)
    return caught.value


# --- what is recorded


async def test_a_stream_is_recorded_with_its_bytes(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        assert it.counters.value(Counter.TUNNELS_OPEN) == 1
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        await stream.send_eof()
        assert await stream.receive() == b""
        await stream.close()
        record = await recorded(it)
    assert (record.user, record.method, record.status) == ("alice", "TUNNEL", 200)
    assert (record.address, record.reason) == (there.name.decode(), "ok")
    assert (record.sent, record.received) == (4, 4)
    assert it.counters.value(Counter.TUNNELS_OPEN) == 0
    assert it.counters.value(Counter.BYTES_SENT) == 4


async def test_a_reset_of_the_destination_reaches_the_client(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(resetting) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        await stream.send(b"ping")
        with pytest.raises(StreamReset):
            await stream.receive()
        assert (await recorded(it)).reason == "reset by destination"


async def test_a_stream_that_the_server_ends_is_recorded(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        it.sessions.abort_all()
        record = await recorded(it)
    assert (record.sent, record.received) == (4, 4)
    assert record.reason == "reset by client"


async def test_a_stream_whose_server_is_cancelled_is_recorded(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        [session] = [task for task in asyncio.all_tasks() if task.get_name() == "session of alice"]
        session.cancel()
        record = await recorded(it)
    assert (record.sent, record.received, record.reason) == (4, 4, "ended by this server")


async def test_an_idle_time_out_ends_a_stream(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        it.server.replace(it.guard, ServingOptions(RelayTimeouts(idle=0.01)))
        stream = await tunnel.open(address(there.name))
        with pytest.raises(StreamReset):
            await stream.receive()
        assert (await recorded(it)).reason == "idle"


# --- what is refused


async def test_why_a_dial_failed_reaches_the_client_and_the_log(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        slow = Slow(it)
        slow.outcome.set_exception(DialError(Failure.DNS_ERROR, "no such name"))
        error = await refusal(tunnel)
        assert (error.failure, error.details) == (Failure.DNS_ERROR, "no such name")
        record = await recorded(it)
        assert (record.status, record.reason) == (502, str(error))
        assert it.counters.snapshot().refusals[Failure.DNS_ERROR] == 1


async def test_the_policy_is_asked_with_the_users_rules_at_each_open(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        error = await refusal(tunnel, Address("10.0.0.1", 80))
        assert error.failure is Failure.IP_PROHIBITED
        assert "10.0.0.1:80" in error.details


async def test_a_removed_user_opens_nothing_more(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        it.store.remove("alice")
        error = await refusal(tunnel)
        assert error.failure is Failure.FORBIDDEN
        assert "there is no user alice any more" in error.details


async def test_a_store_that_fails_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> object:
        raise UserError("the disk is gone")

    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        monkeypatch.setattr(it.store, "version", fail)
        error = await refusal(tunnel)
        assert error.failure is Failure.INTERNAL
        assert "disk" not in error.details


async def test_a_user_has_so_many_streams_over_all_sessions(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there:
        client, other = it.member(), it.member("bob")
        it.store.set_limits("alice", UserLimits(streams=2))
        where = address(there.name)
        async with client.tunnel() as one, client.tunnel() as two, other.tunnel() as another:
            streams = [await one.open(where), await two.open(where)]
            error = await refusal(one, where)
            assert error.failure is Failure.CONNECTION_LIMIT
            assert "2 streams" in error.details
            streams.append(await another.open(where))
            for stream in streams:
                stream.abort()


async def test_datagrams_are_not_served(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        with pytest.raises(DialError) as caught:
            await tunnel._driver.open(FAR, Kind.DATAGRAMS)
        assert caught.value.failure is Failure.NOT_IMPLEMENTED


async def test_a_bug_ends_its_stream_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        slow = Slow(it)
        slow.outcome.set_exception(ZeroDivisionError())
        error = await refusal(tunnel)
        assert error.failure is Failure.INTERNAL
        assert "a stream to destination.example:7 failed" in caplog.text
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        await stream.close()


async def test_a_bug_in_the_midst_of_a_stream_resets_it_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Joint:
        raise ZeroDivisionError

    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(address(there.name))
        monkeypatch.setattr(Joiner, "join", fails)
        other = await tunnel.open(address(there.name))
        with pytest.raises(StreamReset):
            await other.receive()
        assert "failed" in caplog.text
        assert (await recorded(it)).status == Failure.INTERNAL.status
        assert it.counters.value(Counter.TUNNELS_OPEN) == 1
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        await stream.close()


# --- dials under way


async def test_a_withdrawn_offer_cancels_its_dial(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        slow = Slow(it)
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(tunnel.open(FAR))
            await slow.dialled.acquire()
            opening.cancel()
        await slow.cancelled.wait()
        record = await recorded(it)
        assert (record.status, record.reason) == (0, "withdrawn by the other end")


async def test_the_end_of_the_session_cancels_its_dials(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        slow = Slow(it)
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(refusal(tunnel))
            await slow.dialled.acquire()
            it.sessions.drop_user("alice")
            await slow.cancelled.wait()
        assert opening.result().failure is Failure.CONNECTION_TERMINATED


async def test_so_many_dials_are_under_way_at_once_and_the_others_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "DIALS_AT_ONCE", 2)
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:
        slow = Slow(it)
        async with asyncio.TaskGroup() as tasks:
            openings = [tasks.create_task(refusal(tunnel)) for _ in range(5)]
            await slow.dialled.acquire()
            await slow.dialled.acquire()
            # Round trips in memory: whatever would come has come.
            for _ in range(100):
                await asyncio.sleep(0)
            assert slow.under_way == 2
            slow.outcome.set_exception(DialError(Failure.CONNECTION_REFUSED))
        failures = [opening.result().failure for opening in openings]
        assert failures == [Failure.CONNECTION_REFUSED] * 5
