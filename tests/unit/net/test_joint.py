"""Joints without a task: what comes after their end.

What a relay does with bytes and ends is told by `test_relay`, which goes through here too; when a
joint tells of its end, by `test_ending`.
"""

from __future__ import annotations

from underpass.net.ending import Ending, RelayTimeouts, Transfer
from underpass.net.joint import Joiner
from underpass.testing.memory import stream_pair


async def test_what_is_told_after_a_cut_changes_nothing() -> None:
    here, left = stream_pair()
    right, there = stream_pair()
    told: list[Transfer] = []
    joiner = Joiner(RelayTimeouts())
    joint = joiner.join(left, right, told.append)
    await here.send(b"abc")
    assert await there.receive() == b"abc"
    side = joint._left
    joint.cut()
    joint.cut()
    joint.ended(side)
    joint.lost(Ending.LEFT_RESET)
    joint.expire()
    assert told == [Transfer(3, 0, Ending.CUT)]
    assert len(joiner.half_closed) == len(joiner.flushing) == 0
