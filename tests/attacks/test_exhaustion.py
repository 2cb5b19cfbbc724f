"""An end with the session's key that wants to use up the other's memory or time.

Each test says the bytes that the attacker spends and bounds what it costs to hold them, as long as
the attacker likes.
"""

from __future__ import annotations

import gc
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.unit.protocol.session_pair import SESSION_ID, START, Dialogue, offered
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_data,
    encode_fin,
    encode_goaway,
    encode_open,
    encode_ping,
    encode_reset,
    encode_skip,
    encode_window,
)
from underpass.protocol.frames import Ack, Ping, Pong
from underpass.protocol.reassembly import MAX_SEGMENTS
from underpass.protocol.record import RecordSplitter, Sealer
from underpass.protocol.replay import MAX_AHEAD
from underpass.protocol.session_events import SessionClosed
from underpass.protocol.session_state import SessionState
from underpass.protocol.session_terms import SessionTerms
from underpass.protocol.stream_table import StreamLimits

# To measure memory costs time.
pytestmark = pytest.mark.slow

KIB = 1024
MIB = 1024 * KIB
WINDOW = StreamLimits().initial_window
STREAMS = StreamLimits().streams


class Memory:
    """What is held, in bytes."""

    held = 0
    peak = 0


@contextmanager
def measured() -> Iterator[Memory]:
    """What is held at the end of the block that was not at its beginning."""
    memory = Memory()
    gc.collect()
    tracemalloc.start()
    try:
        yield memory
        gc.collect()
        memory.held, memory.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def packed(frames: Iterable[bytes], size: int = 60_000) -> Iterator[bytes]:
    """Frames joined into as few records as they fit."""
    parts: list[bytes] = []
    room = size
    for frame in frames:
        if len(frame) > room:
            yield b"".join(parts)
            parts, room = [], size
        parts.append(frame)
        room -= len(frame)
    yield b"".join(parts)


def flood(dialogue: Dialogue, frames: Iterable[bytes]) -> int:
    """Say frames in few records until all are said or the session ends; return the bytes."""
    total = 0
    for content in packed(frames):
        if dialogue.session.state is SessionState.CLOSED:
            break
        dialogue.say(content)
        total += len(content)
    return total


def seconds(call: Callable[[], object]) -> float:
    """The least processor time of three calls."""
    times = []
    for _ in range(3):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def assert_not_quadratic(run: Callable[[int], object], size: int) -> None:
    """Four times as much takes about four times as long; were it the square, sixteen times."""
    run(size // 4)
    assert seconds(lambda: run(4 * size)) < 9 * max(seconds(lambda: run(size)), 0.002)


# --- streams


def test_a_flood_of_opens_whose_answers_are_never_read() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        spent = flood(dialogue, (encode_open(n, 0, "a", 1) for n in range(1, 400_000, 2)))
    assert dialogue.session.state is SessionState.CLOSED
    # 16,384 refusals and 1,024 streams: far less than all its opens would have cost.
    assert spent < 400 * KIB
    assert memory.peak < 8 * MIB


def test_a_flood_of_opens_whose_answers_are_read_holds_its_limit_of_streams() -> None:
    dialogue = Dialogue()
    accepted = 0
    with measured() as memory:
        for content in packed(encode_open(n, 0, "a", 1) for n in range(1, 20_000, 2)):
            accepted += len(offered(dialogue.say(content)))
            dialogue.heard()
            dialogue.say(encode_ack(Ack(0, dialogue.session._sent.next_seq, ())))
    assert (accepted, len(dialogue.session.streams)) == (STREAMS, STREAMS)
    assert memory.held < 4 * KIB * STREAMS


def test_streams_that_are_opened_and_reset_leave_nothing() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        flood(
            dialogue,
            (encode_open(n, 0, "a", 1) + encode_reset(n, 0) for n in range(1, 20_000, 2)),
        )
    assert dialogue.session.state is SessionState.OPEN
    assert len(dialogue.session.streams) == 0
    assert memory.held < 64 * KIB


def test_resets_of_streams_that_never_were() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        flood(dialogue, (encode_reset(n, 0) for n in range(1, 2**32, 4)))
    assert dialogue.session.state is SessionState.CLOSED
    assert memory.peak < 8 * MIB


@pytest.mark.parametrize(
    "frame", [lambda n: encode_data(n, 0, b"x"), lambda n: encode_window(n, 9)]
)
def test_early_frames_of_a_hundred_thousand_streams_never_opened(
    frame: Callable[[int], bytes],
) -> None:
    dialogue = Dialogue()
    with measured() as memory:
        flood(dialogue, (frame(n) for n in range(1, 200_000, 2)))
    assert dialogue.session.state is SessionState.CLOSED
    assert memory.peak < 2 * STREAMS * 3 * KIB


def test_a_hundred_streams_without_credit_hold_what_the_application_gave() -> None:
    limits = StreamLimits(initial_window=1)
    dialogue = Dialogue(SessionTerms(SESSION_ID, StreamLimits(), limits))
    dialogue.say(*(encode_open(n, 0, "a", 1) for n in range(1, 201, 2)))
    chunk = bytes(16 * KIB)
    with measured() as memory:
        for stream in range(1, 201, 2):
            dialogue.session.streams.accept(stream)
            while not dialogue.session.streams.is_clogged(stream):
                dialogue.session.streams.send(stream, chunk)
        dialogue.heard()
    assert memory.held < 100 * 4 * KIB
    assert sum(map(len, dialogue.session.data_to_send(0, MIB, START))) == 0


def test_credit_without_end_is_no_credit_for_more_than_there_is() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    dialogue.session.streams.send(1, bytes(100))
    dialogue.say(encode_window(1, 2**64 - 1))
    dialogue.say(encode_window(1, 2**64 - 1), encode_window(1, 2**63))
    assert len(dialogue.heard()) == 3
    assert dialogue.session.state is SessionState.OPEN


def test_credit_a_byte_at_a_time_costs_no_square() -> None:
    def run(count: int) -> None:
        limits = StreamLimits(initial_window=1)
        dialogue = Dialogue(SessionTerms(SESSION_ID, StreamLimits(), limits))
        dialogue.say(encode_open(1, 0, "a", 1))
        dialogue.session.streams.accept(1)
        for _ in range(count):
            dialogue.session.streams.send(1, b"xy")
        for n in range(count):
            dialogue.say(encode_window(1, n + 2), encode_ack(Ack(0, n, ())))
            dialogue.session.data_to_send(0, MIB, START)

    assert_not_quadratic(run, 1000)


# --- bytes


def test_every_second_byte_of_a_stream() -> None:
    dialogue = Dialogue(SessionTerms(SESSION_ID, StreamLimits(initial_window=MIB)))
    dialogue.say(encode_open(1, 0, "a", 1))
    with measured() as memory:
        spent = flood(dialogue, (encode_data(1, 2 * n + 1, b"x") for n in range(100_000)))
    assert dialogue.session.state is SessionState.CLOSED
    assert spent < 200 * KIB
    assert memory.peak < 10 * MAX_SEGMENTS * 16 + MIB


def test_every_second_byte_of_every_stream() -> None:
    dialogue = Dialogue()
    frames = (
        encode_data(stream, 2 * n + 1, b"x")
        for stream in range(1, 2 * STREAMS, 2)
        for n in range(MAX_SEGMENTS)
    )
    with measured() as memory:
        flood(dialogue, frames)
    assert dialogue.session.state is SessionState.CLOSED
    assert memory.peak < 16 * MIB


def test_every_second_byte_costs_no_square() -> None:
    def run(count: int) -> None:
        dialogue = Dialogue()
        frames = [encode_data(1, 2 * n + 1, b"x") for n in reversed(range(count))]
        flood(dialogue, [encode_open(1, 0, "a", 1), *frames])

    assert_not_quadratic(run, 1000)


def test_pieces_that_lie_over_each_other_are_held_within_the_window() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    with measured() as memory:
        flood(dialogue, (encode_data(1, 1 + n % 50, bytes(1000)) for n in range(10_000)))
    assert dialogue.session.state is SessionState.CLOSED
    assert memory.peak < MIB


def test_pieces_that_lie_over_each_other_are_the_stream_all_the_same() -> None:
    dialogue = Dialogue()
    text = bytes(range(256))
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    for start, end in ((5, 90), (80, 256), (3, 20), (0, 4), (0, 256)):
        dialogue.say(encode_data(1, start, text[start:end]))
    assert dialogue.session.streams.read(1, 999, START) == text


@pytest.mark.parametrize("size", [1, 16, 1023, 1024])
def test_small_pieces_for_a_reader_that_has_stopped(size: int) -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    with measured() as memory:
        offsets = range(0, WINDOW - size + 1, size)
        flood(dialogue, (encode_data(1, offset, bytes(size)) for offset in offsets))
    assert dialogue.session.state is SessionState.OPEN
    assert memory.held < 3 * WINDOW


def test_a_session_full_of_streams_that_are_not_read_holds_its_windows() -> None:
    dialogue = Dialogue()
    dialogue.say(*(encode_open(n, 0, "a", 1) for n in range(1, 201, 2)))
    with measured() as memory:
        for stream in range(1, 201, 2):
            dialogue.say(encode_data(stream, 0, bytes(WINDOW)))
    assert dialogue.session.state is SessionState.OPEN
    assert memory.held < 2 * 100 * WINDOW


# --- acknowledgements


def test_an_ack_of_everything_that_could_ever_be() -> None:
    dialogue = Dialogue()
    began = time.process_time()
    (*_, last) = dialogue.say(encode_ack(Ack(0, 0, ((1, 2**64 - 1),))))
    assert isinstance(last, SessionClosed)
    assert time.process_time() - began < 0.1


def test_the_same_wide_ranges_over_and_over_cost_no_square() -> None:
    def run(count: int) -> None:
        dialogue = Dialogue()
        dialogue.say(encode_open(1, 0, "a", 1))
        dialogue.session.streams.accept(1)
        for _ in range(1000):
            dialogue.session.streams.send(1, b"x")
            dialogue.session.data_to_send(0, MIB, START)
        wide = encode_ack(Ack(0, 0, tuple((n, n) for n in range(1, 129, 2))))
        flood(dialogue, [wide] * count)
        assert dialogue.session.state is SessionState.OPEN

    assert_not_quadratic(run, 200)


def test_skips_with_gaps_between_are_bounded() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        flood(dialogue, (encode_skip(n, n) for n in range(2, MAX_AHEAD - 2, 2)))
    assert dialogue.session.state is SessionState.OPEN
    assert memory.held < 3 * MIB
    (*_, last) = dialogue.say(encode_skip(2, MAX_AHEAD + 9))
    assert isinstance(last, SessionClosed)


def test_a_flood_of_pings_makes_one_pong() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        flood(dialogue, (encode_ping(n, 1) for n in range(1, 20_000)))
    assert [frame for frame in dialogue.heard() if isinstance(frame, Ping | Pong)] == [Pong(19_999)]
    assert memory.held < 64 * KIB


def test_many_pings_that_go_unread_keep_nothing() -> None:
    dialogue = Dialogue()
    with measured() as memory:
        for n in range(1, 2000):
            dialogue.say(encode_ping(n, 1))
            dialogue.now += 0.03
            dialogue.heard()
    # What was answered waits for its acknowledgement, in the log that is bounded.
    assert memory.held < 2000 * 400


def test_going_away_over_and_over_is_told_once() -> None:
    dialogue = Dialogue(is_client=True)
    for _ in range(STREAMS):
        dialogue.session.streams.open("a", 1)
    began = time.process_time()
    flood(dialogue, (encode_goaway(n, 0, "") for n in range(2**32 - 1, 2**32 - 9000, -1)))
    assert dialogue.session.state is SessionState.CLOSED
    assert time.process_time() - began < 0.5


def test_fins_without_data_leave_streams_that_count() -> None:
    dialogue = Dialogue()
    flood(dialogue, (encode_fin(n, 0) for n in range(1, 100_000, 2)))
    assert dialogue.session.state is SessionState.CLOSED


# --- bytes of a carrier


def test_a_record_byte_by_byte_costs_no_square() -> None:
    def run(size: int) -> None:
        record = bytes(Sealer(bytes(32)).seal(bytes(size)))
        splitter = RecordSplitter()
        found = [one for at in range(len(record)) for one in splitter.split(record[at : at + 1])]
        assert len(found) == 1

    assert_not_quadratic(run, 16_000)


def test_a_length_and_nothing_after_it() -> None:
    dialogues = [Dialogue() for _ in range(20)]
    head = struct.pack("!BHQ", 1, 0, 0)
    with measured() as memory:
        for dialogue in dialogues:
            dialogue.session.receive_data(0, head, START)
    assert memory.peak < 20 * KIB


# --- what is idle


def test_an_idle_stream_costs_little_at_either_end() -> None:
    for is_client in (True, False):
        dialogue = Dialogue(is_client=is_client)
        with measured() as memory:
            for n in range(500):
                if is_client:
                    dialogue.session.streams.open("a", 1)
                else:
                    dialogue.say(encode_open(2 * n + 1, 0, "a", 1))
                    dialogue.session.streams.accept(2 * n + 1)
                dialogue.session.data_to_send(0, MIB, START)
                dialogue.say(encode_ack(Ack(0, dialogue.session._sent.next_seq, ())))
        assert memory.held < 500 * 3 * KIB


def test_an_idle_session_costs_little() -> None:
    Dialogue()
    with measured() as memory:
        dialogues = [Dialogue() for _ in range(20)]
    assert memory.held < len(dialogues) * 64 * KIB
