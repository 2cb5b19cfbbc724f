"""The memory pair, where it is stricter than the contract that `net/test_stream.py` holds it to."""

from __future__ import annotations

import asyncio

import pytest

from underpass.errors import StreamReset
from underpass.testing import stream_pair


async def test_a_direction_holds_exactly_its_buffer() -> None:
    here, there = stream_pair(buffer_size=4)
    await here.send(b"full")
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(here.send(b"more!"))
        await asyncio.sleep(0)
        assert not sending.done()
        assert "4 out" in repr(here)
        assert await there.receive() == b"full"
        await asyncio.sleep(0)
        assert await there.receive() == b"more"
        assert await there.receive() == b"!"


async def test_directions_do_not_share_their_buffer() -> None:
    here, there = stream_pair(buffer_size=1)
    await here.send(b"a")
    await there.send(b"b")
    assert (await there.receive(), await here.receive()) == (b"a", b"b")


def test_a_buffer_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        stream_pair(buffer_size=0)


async def test_a_reset_takes_with_it_what_was_not_received() -> None:
    here, there = stream_pair()
    await here.send(b"lost")
    here.abort()
    assert "RESET" in repr(there)
    with pytest.raises(StreamReset):
        await there.receive()


async def test_abort_after_close_takes_back_what_was_not_received() -> None:
    here, there = stream_pair()
    await here.send(b"lost")
    await here.close()
    here.abort()
    with pytest.raises(StreamReset):
        await there.receive()


async def test_a_closed_end_drops_a_buffer_more_then_resets() -> None:
    here, there = stream_pair(buffer_size=4)
    await here.send(b"bye")
    await here.close()
    assert "CLOSED" in repr(here)
    await there.send(b"drop")
    assert await there.receive() == b"bye"
    assert await there.receive() == b""
    await there.send(b"!")
    with pytest.raises(StreamReset):
        await there.send(b"!")


async def test_what_is_put_back_holds_the_sender_back() -> None:
    here, there = stream_pair(buffer_size=4)
    await here.send(b"full")
    there.unread(await there.receive() + b"er")
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(here.send(b"x"))
        await asyncio.sleep(0)
        assert not sending.done()
        assert await there.receive() == b"fuller"
        await sending
