"""The sessions of a server: ended with their users, or unused; drained; never lost count of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, origin
from tests.unit.server.town import Town, carried, town
from underpass.address import Address
from underpass.errors import DialError, Failure, StreamReset, UserError
from underpass.observe import Counter
from underpass.protocol.frames import CloseCode
from underpass.server.enrolment import digest_of
from underpass.server.serving import StreamServer
from underpass.server.sessions import UNUSED_SECONDS, ServedSession
from underpass.tunnel.tunnel import Tunnel


class Ticks:
    """A clock for `watch` that ticks when the test says so."""

    def __init__(self) -> None:
        self._due = asyncio.Semaphore(0)
        self._asked = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self._asked.release()
        await self._due.acquire()

    async def once(self) -> None:
        """Tick, and wait until what is done at a tick is done."""
        await self._asked.acquire()
        self._due.release()
        await self._asked.acquire()
        self._asked.release()


async def watched(it: Town, story: Callable[[Ticks], Awaitable[None]]) -> None:
    """Run `story` while the sessions are watched."""
    ticks = Ticks()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(it.sessions.watch(it.members, ticks))
        await story(ticks)
        watching.cancel()


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))
    await visitor.rest()


def now() -> float:
    return asyncio.get_running_loop().time()


async def code_of(tunnel: Tunnel) -> int:
    return (await tunnel.closed()).code


# --- removed users


async def test_a_removed_users_sessions_end_at_the_next_tick(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        alice, bob = it.member("alice"), it.member("bob")
        async with alice.tunnel() as one, alice.tunnel() as two, bob.tunnel() as other:

            async def story(ticks: Ticks) -> None:
                await ticks.once()
                assert len(it.sessions) == 3
                it.store.remove("alice")
                await ticks.once()
                assert [await code_of(one), await code_of(two)] == [CloseCode.USER_REMOVED] * 2

            await watched(it, story)
            assert not other.is_closed
            assert [one.visitor.name for one in it.sessions] == ["bob"]


async def test_a_user_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:

        async def story(ticks: Ticks) -> None:
            it.store.remove("alice")
            it.user("alice")
            await ticks.once()
            assert await code_of(tunnel) == CloseCode.USER_REMOVED

        await watched(it, story)


async def test_a_key_that_came_to_another_user_keeps_no_session(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        async with client.tunnel() as tunnel:

            async def story(ticks: Ticks) -> None:
                it.store.remove("alice")
                digest = digest_of(it.code("bob"))
                it.store.enrol(digest, client.public_key, 0)
                await ticks.once()
                assert await code_of(tunnel) == CloseCode.USER_REMOVED

            await watched(it, story)


async def test_a_session_that_begins_as_its_user_is_removed_ends_too(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()

        async def story(ticks: Ticks) -> None:
            await ticks.once()
            async with client.tunnel() as tunnel:
                # As if the store had been asked just before, and watched just after.
                it.store.remove("alice")
                it.sessions._has_new = True
                await ticks.once()
                assert await code_of(tunnel) == CloseCode.USER_REMOVED

        await watched(it, story)


async def test_changes_of_others_end_nothing(tmp_path: Path) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:

        async def story(ticks: Ticks) -> None:
            for name in ("bob", "carol"):
                it.user(name)
                await ticks.once()
            it.store.remove("bob")
            await ticks.once()

        await watched(it, story)
        assert not tunnel.is_closed


async def test_a_store_that_fails_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with town(tmp_path) as it, it.member().tunnel() as tunnel:

        def fail() -> dict[bytes, str]:
            raise UserError("the disk is gone")

        async def story(ticks: Ticks) -> None:
            monkeypatch.setattr(it.store, "key_owners", fail)
            it.store.remove("alice")
            await ticks.once()
            assert "the disk is gone" in caplog.text
            assert not tunnel.is_closed
            monkeypatch.undo()
            await ticks.once()
            assert await code_of(tunnel) == CloseCode.USER_REMOVED

        await watched(it, story)


async def test_a_dropped_user_has_no_stream_left(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(Address.parse(there.name.decode()))
        it.sessions.drop_user("bob")
        assert len(it.sessions) == 1
        it.sessions.drop_user("alice")
        with pytest.raises(StreamReset):
            await stream.receive()
        assert len(it.sessions) == 0


# --- sessions without a carrier


async def test_a_session_that_was_never_used_is_kept_for_two_minutes(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        async with it.member().tunnel():
            it.sessions.drop_unused(now() + 2 * UNUSED_SECONDS)
            assert len(it.sessions) == 1
        it.sessions.drop_unused(now() + UNUSED_SECONDS - 1)
        assert len(it.sessions) == 1
        it.sessions.drop_unused(now() + UNUSED_SECONDS + 1)
        assert len(it.sessions) == 0


async def test_a_session_that_was_used_is_kept_for_its_grace_time(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there:
        async with it.member().tunnel() as tunnel:
            await tunnel.open(Address.parse(there.name.decode()))
        it.sessions.drop_unused(now() + 2 * UNUSED_SECONDS)
        [served] = it.sessions
        assert served.is_detached
        assert "alice" in repr(served)


# --- ends


async def test_a_session_that_its_client_closes_is_forgotten(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        async with it.member().tunnel() as tunnel:
            assert it.counters.value(Counter.SESSIONS_OPEN) == 1
            tunnel.close()
            assert await code_of(tunnel) == CloseCode.DONE
            await it.sessions.wait_empty()
        assert it.counters.value(Counter.SESSIONS_OPEN) == 0
        assert it.counters.value(Counter.SESSIONS_BEGUN) == 1


async def test_going_away_ends_idle_sessions_and_waits_for_streams(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there:
        where = Address.parse(there.name.decode())
        async with it.member().tunnel() as busy, it.member("bob").tunnel() as idle:
            stream = await busy.open(where)
            it.sessions.go_away()
            assert await code_of(idle) == CloseCode.DONE
            with pytest.raises(DialError) as caught:
                await busy.open(where)
            assert caught.value.failure is Failure.DRAINING
            await stream.send(b"ping")
            assert await stream.receive() == b"ping"
            assert len(it.sessions) == 1
            await stream.close()
            assert await code_of(busy) == CloseCode.DONE
            await it.sessions.wait_empty()


async def test_all_end_at_once_where_they_must(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        tunnel, admission = await it.member().enter()
        await it.member("bob").enter()
        async with carried(tunnel, 0, admission):
            it.sessions.abort_all()
            assert await code_of(tunnel) == CloseCode.SHUTDOWN
        await it.sessions.wait_empty()


async def test_a_bug_ends_its_session_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: ServedSession, server: StreamServer) -> None:
        raise ZeroDivisionError

    async with town(tmp_path) as it, it.member("bob").tunnel() as tunnel:
        monkeypatch.setattr(ServedSession, "run", broken)
        await it.member("alice").enter()
        await asyncio.sleep(0)
        assert "a session of alice failed" in caplog.text
        assert [one.visitor.name for one in it.sessions] == ["bob"]
        assert not tunnel.is_closed
