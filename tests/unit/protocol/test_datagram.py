"""Datagrams that wait: in order, few, and not for long."""

from __future__ import annotations

import pytest

from underpass.errors import LocalProtocolError
from underpass.protocol.datagram import MAX_AGE_SECONDS, MAX_QUEUED, DatagramQueue
from underpass.protocol.frame_codec import encode_datagram
from underpass.protocol.frames import MAX_DATAGRAM_BYTES

ROOM = 65_536


def test_they_go_in_order() -> None:
    queue = DatagramQueue()
    queue.add(1, b"a", 0.0)
    queue.add(2, b"b", 0.1)
    assert len(queue) == 2
    assert queue.take(ROOM, 0.1) == encode_datagram(1, b"a")
    assert queue.take(ROOM, 0.1) == encode_datagram(2, b"b")
    assert queue.take(ROOM, 0.1) is None


def test_a_late_one_is_dropped() -> None:
    queue = DatagramQueue()
    queue.add(1, b"late", 10.0)
    queue.add(1, b"not yet", 10.1)
    assert queue.take(ROOM, 10.05 + MAX_AGE_SECONDS) == encode_datagram(1, b"not yet")
    assert queue.dropped == 1
    queue.add(1, b"late", 10.0)
    assert queue.take(ROOM, 11.0) is None
    assert (len(queue), queue.dropped) == (0, 2)


def test_the_oldest_of_too_many_is_dropped() -> None:
    queue = DatagramQueue()
    for n in range(MAX_QUEUED + 2):
        queue.add(1, b"%d" % n, 0.0)
    assert (len(queue), queue.dropped) == (MAX_QUEUED, 2)
    assert queue.take(ROOM, 0.0) == encode_datagram(1, b"2")


def test_one_that_does_not_fit_waits() -> None:
    queue = DatagramQueue()
    queue.add(1, b"12345", 0.0)
    assert queue.take(11, 0.0) is None
    assert queue.take(12, 0.0) == encode_datagram(1, b"12345")


def test_one_that_is_too_long_is_the_callers_fault() -> None:
    queue = DatagramQueue()
    queue.add(1, bytes(MAX_DATAGRAM_BYTES), 0.0)
    with pytest.raises(LocalProtocolError, match="a datagram over"):
        queue.add(1, bytes(MAX_DATAGRAM_BYTES + 1), 0.0)
    queue.clear()
    assert queue.take(ROOM, 0.0) is None
