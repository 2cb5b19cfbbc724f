"""Bytes that wait: in order, whole, and without a queue of their own while there are none."""

from __future__ import annotations

from underpass.net.unread import NONE_UNREAD, Unread


class Kept(Unread):
    """As a stream has it."""

    def __init__(self) -> None:
        self._chunks = NONE_UNREAD
        self._unread_size = 0

    def keep(self, data: bytes) -> None:
        self._keep_unread(data)

    def take(self, limit: int = 100) -> bytes:
        return self._take_unread(limit)

    def drop(self) -> None:
        self._drop_unread()

    @property
    def has_queue(self) -> bool:
        return self._chunks is not NONE_UNREAD


def test_chunks_are_taken_in_order_up_to_a_limit() -> None:
    kept = Kept()
    kept.keep(b"abcdef")
    kept.keep(b"gh")
    assert kept.unread_size == 8
    assert [kept.take(4), kept.take(4), kept.take(4)] == [b"abcd", b"ef", b"gh"]
    assert kept.unread_size == 0


def test_what_is_put_back_comes_first() -> None:
    kept = Kept()
    kept.unread(b"first")
    kept.keep(b"second")
    kept.unread(b"")
    assert (kept.unread_size, kept.take(), kept.take()) == (11, b"first", b"second")


def test_nothing_unread_needs_no_queue_and_streams_share_none() -> None:
    kept, other = Kept(), Kept()
    assert not kept.has_queue
    kept.keep(b"x")
    assert (kept.has_queue, other.has_queue) == (True, False)
    kept.drop()
    assert (kept.has_queue, kept.unread_size) == (False, 0)
