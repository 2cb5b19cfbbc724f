"""Records: sealed once, opened or refused, over the border of epochs, cut out of any pieces."""

from __future__ import annotations

import contextlib
import tracemalloc
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import LocalProtocolError, RemoteProtocolError
from underpass.protocol.frames import MAX_FRAMES_BYTES
from underpass.protocol.record import (
    EPOCH_RECORDS,
    HEAD_BYTES,
    MAX_LENGTH,
    MAX_RECORD_BYTES,
    MAX_SEQ,
    MIN_LENGTH,
    OVERHEAD_BYTES,
    Opener,
    RecordSplitter,
    Sealer,
    record_seq,
)

KEY = b"\x01" * 32
# Around where sealing and cutting change their ways.
SIZES = [1, 2, 100, 4096, 8167, 8168, 8169, 8192, 16_384, MAX_FRAMES_BYTES]


def nonce(seq: int) -> bytes:
    return bytes(4) + seq.to_bytes(8, "big")


def next_key(key: bytes) -> bytes:
    """Noise's REKEY, as the page says it."""
    return AESGCM(key).encrypt(nonce(2**64 - 1), bytes(32), None)[:32]


def at(seq: int) -> Sealer:
    """A sealer that has come as far as `seq`."""
    sealer = Sealer(KEY)
    sealer.seal(b"x")
    sealer.next_seq = seq
    return sealer


def opened(opener: Opener, record: bytes | bytearray) -> bytes:
    ((seq, sealed),) = RecordSplitter().split(bytes(record))
    return opener.open(seq, sealed)


@pytest.mark.parametrize("size", SIZES)
def test_a_record_is_as_the_page_says(size: int) -> None:
    frames = bytes(range(256)) * 256
    record = bytes(at(5).seal(frames[:size]))
    sealed = AESGCM(KEY).encrypt(nonce(5), frames[:size], None)
    assert record == (8 + len(sealed)).to_bytes(3, "big") + (5).to_bytes(8, "big") + sealed
    assert len(record) == size + OVERHEAD_BYTES <= MAX_RECORD_BYTES
    assert record_seq(record) == 5
    assert opened(Opener(KEY), record) == frames[:size]


@pytest.mark.parametrize("size", [0, MAX_FRAMES_BYTES + 1])
def test_a_record_out_of_bounds_is_not_sealed(size: int) -> None:
    sealer = Sealer(KEY)
    with pytest.raises(LocalProtocolError, match="1 to 65,536"):
        sealer.seal(bytes(size))
    assert sealer.next_seq == 0


def test_no_number_is_sealed_twice() -> None:
    sealer = Sealer(KEY)
    assert [record_seq(bytes(sealer.seal(b"same"))) for _ in range(100)] == list(range(100))


def test_the_last_number_of_all_is_not_passed() -> None:
    sealer = at(0)
    sealer.next_seq = MAX_SEQ + 1
    with pytest.raises(LocalProtocolError):
        sealer.seal(b"x")


def test_the_key_changes_with_the_number_alone() -> None:
    sealer = at(EPOCH_RECORDS - 1)
    last, first = sealer.seal(b"last"), sealer.seal(b"first")
    assert AESGCM(KEY).decrypt(nonce(EPOCH_RECORDS - 1), bytes(last[HEAD_BYTES:]), None) == b"last"
    new = AESGCM(next_key(KEY))
    assert new.decrypt(nonce(EPOCH_RECORDS), bytes(first[HEAD_BYTES:]), None) == b"first"
    sealer.next_seq = 2 * EPOCH_RECORDS
    third = sealer.seal(b"third")
    newest = AESGCM(next_key(next_key(KEY)))
    assert newest.decrypt(nonce(2 * EPOCH_RECORDS), bytes(third[HEAD_BYTES:]), None) == b"third"


def test_an_older_epoch_opens_as_long_as_it_is_the_one_before() -> None:
    sealer, opener = at(0), Opener(KEY)
    old = sealer.seal(b"old")
    sealer.next_seq = EPOCH_RECORDS
    newer, newer_too = sealer.seal(b"newer"), sealer.seal(b"newer too")
    sealer.next_seq = 2 * EPOCH_RECORDS
    newest = sealer.seal(b"newest")
    assert opened(opener, newer) == b"newer"
    assert opened(opener, old) == b"old"
    assert opened(opener, newest) == b"newest"
    assert opened(opener, newer_too) == b"newer too"
    with pytest.raises(RemoteProtocolError, match="not near"):
        opened(opener, old)


def test_a_far_epoch_does_not_open() -> None:
    sealer = at(EPOCH_RECORDS)
    sealer.seal(b"x")
    sealer.next_seq = 2 * EPOCH_RECORDS
    with pytest.raises(RemoteProtocolError, match="not near"):
        opened(Opener(KEY), sealer.seal(b"far"))


def test_what_does_not_open_in_the_next_epoch_changes_no_key() -> None:
    opener, sealer = Opener(KEY), at(0)
    for epoch, reason in ((1, "does not open"), (2, "not near")):
        with pytest.raises(RemoteProtocolError, match=reason):
            opener.open(epoch * EPOCH_RECORDS, bytes(17))
    assert opened(opener, sealer.seal(b"as before")) == b"as before"
    sealer.next_seq = EPOCH_RECORDS
    assert opened(opener, sealer.seal(b"the next")) == b"the next"


@pytest.mark.parametrize("size", [1, 40, 9000])
def test_a_record_with_any_byte_changed_does_not_open(size: int) -> None:
    record = bytearray(Sealer(KEY).seal(bytes(size)))
    places = [*range(3, min(len(record), 80)), len(record) - 1]
    for place in places:
        record[place] ^= 0x10
        with pytest.raises(RemoteProtocolError):
            opened(Opener(KEY), bytes(record))
        record[place] ^= 0x10
    assert opened(Opener(KEY), bytes(record)) == bytes(size)


def test_a_record_does_not_open_with_another_key() -> None:
    with pytest.raises(RemoteProtocolError, match="altered"):
        opened(Opener(bytes(32)), Sealer(KEY).seal(b"x"))


# --- cutting a carrier's bytes into records


def stream(*sizes: int) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Records of such sizes in a row, and what they are cut into."""
    sealer = Sealer(KEY)
    records = [bytes(sealer.seal(bytes(size))) for size in sizes]
    return b"".join(records), [(n, r[HEAD_BYTES:]) for n, r in enumerate(records)]


def cut(splitter: RecordSplitter, pieces: list[bytes]) -> list[tuple[int, bytes]]:
    return [(seq, bytes(sealed)) for piece in pieces for seq, sealed in splitter.split(piece)]


def test_records_are_cut_out_whole() -> None:
    data, records = stream(*SIZES)
    assert cut(RecordSplitter(), [data]) == records


def test_records_are_cut_out_byte_by_byte() -> None:
    data, records = stream(1, 300, 2)
    assert cut(RecordSplitter(), [bytes((byte,)) for byte in data]) == records


def test_bytes_that_follow_are_the_next_record() -> None:
    data, records = stream(5, 9000, 6)
    splitter = RecordSplitter()
    for split in (1, 10, 11, len(data) - 40, len(data) - 1):
        assert cut(splitter, [data[:split], data[split:]]) == records
    assert cut(splitter, [b"", data]) == records


@given(st.lists(st.integers(1, 9000), max_size=5), st.data())
def test_records_are_cut_out_of_any_pieces(sizes: list[int], data: st.DataObject) -> None:
    joined, records = stream(*sizes)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=8)))
    bounds = [0, *cuts, len(joined)]
    pieces = [joined[start:end] for start, end in pairwise(bounds)]
    assert cut(RecordSplitter(), pieces) == records


@pytest.mark.parametrize("length", [0, 1, MIN_LENGTH - 1, MAX_LENGTH + 1, 2**24 - 1])
def test_a_length_out_of_bounds_is_refused_from_the_head_alone(length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="out of bounds"):
        RecordSplitter().split(length.to_bytes(3, "big") + bytes(8))


@pytest.mark.parametrize("length", [MIN_LENGTH, MAX_LENGTH])
def test_a_length_at_its_bound_is_a_record(length: int) -> None:
    record = length.to_bytes(3, "big") + bytes(length)
    assert cut(RecordSplitter(), [record]) == [(0, bytes(length - 8))]


def test_what_is_forgotten_is_not_the_start_of_the_next() -> None:
    data, records = stream(50)
    splitter = RecordSplitter()
    splitter.split(data[:30])
    splitter.forget()
    assert cut(splitter, [data]) == records


def test_no_room_is_made_for_a_length_declared() -> None:
    splitters = [RecordSplitter() for _ in range(100)]
    head = MAX_LENGTH.to_bytes(3, "big") + bytes(8)
    tracemalloc.start()
    try:
        for splitter in splitters:
            splitter.split(head)
        assert tracemalloc.get_traced_memory()[1] < 100 * 512
    finally:
        tracemalloc.stop()


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_bytes_raise_nothing_else(pieces: list[bytes]) -> None:
    splitter, opener = RecordSplitter(), Opener(KEY)
    with contextlib.suppress(RemoteProtocolError):
        for piece in pieces:
            for seq, sealed in splitter.split(piece):
                opener.open(seq, sealed)
