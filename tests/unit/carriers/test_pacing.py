"""What is learned of a path, step by step."""

from __future__ import annotations

from underpass.carriers.pacing import (
    DOUBT_SECONDS,
    FIRST_HOLD_SECONDS,
    FIRST_SIZE,
    FIRST_WIDTH,
    LARGEST_SIZE,
    LARGEST_WIDTH,
    LEAST_HOLD_SECONDS,
    SERIAL_HOLD_SECONDS,
    SMALL_SIZE,
    SMALLEST_SIZE,
    Flow,
    Pacing,
    SharedPath,
)


def grown(times: int) -> Flow:
    flow = Flow()
    for _ in range(times):
        flow.passed(flow.size, 0.1)
    return flow


def test_begins_small_and_grows_in_width_before_size() -> None:
    flow = Flow()
    assert (flow.size, flow.width) == (FIRST_SIZE, FIRST_WIDTH)
    flow = grown(LARGEST_WIDTH - FIRST_WIDTH)
    assert (flow.size, flow.width) == (FIRST_SIZE, LARGEST_WIDTH)
    flow = grown(100)
    assert (flow.size, flow.width) == (LARGEST_SIZE, LARGEST_WIDTH)


def test_small_pieces_teach_nothing_of_width() -> None:
    flow = Flow()
    for _ in range(10):
        flow.passed(10, 0.1)
    assert flow.width == FIRST_WIDTH


def test_a_queue_makes_pieces_smaller_and_then_fewer() -> None:
    flow = grown(LARGEST_WIDTH)
    for _ in range(8):
        flow.passed(flow.size, 2.0)
    assert flow.size == SMALL_SIZE
    assert flow.width < LARGEST_WIDTH
    assert repr(flow) == f"<Flow {SMALL_SIZE} bytes, {flow.width} at once>"


def test_a_path_that_became_longer_is_learned_in_time() -> None:
    flow = grown(3)
    for _ in range(500):
        flow.passed(100, 2.0)
    width = flow.width
    flow.passed(flow.size, 2.0)
    assert flow.width > width


def test_overload_halves_what_is_under_way() -> None:
    flow = grown(6)
    flow.objected(429, 100)
    assert (flow.size, flow.width) == (FIRST_SIZE, 4)
    for _ in range(5):
        flow.objected(503, 100)
    assert flow.width == 1


def test_a_limit_stays() -> None:
    flow = Flow()
    flow.objected(413, FIRST_SIZE)
    assert flow.size == FIRST_SIZE // 2
    for _ in range(100):
        flow.passed(flow.size, 0.1)
    assert flow.size == FIRST_SIZE // 2


def test_an_objection_to_a_large_piece_makes_it_smaller_for_a_while() -> None:
    flow = Flow()
    flow.objected(502, FIRST_SIZE)
    assert flow.size == FIRST_SIZE // 2
    flow.objected(502, 100)
    assert flow.size == FIRST_SIZE // 2
    for _ in range(100):
        flow.objected(413, flow.size)
    assert flow.size == SMALLEST_SIZE


def test_what_rests_needs_few_requests() -> None:
    flow = grown(6)
    flow.rests()
    assert flow.width == FIRST_WIDTH


def test_nothing_waits_long_until_the_path_is_known() -> None:
    pacing = Pacing()
    assert pacing.hold == SERIAL_HOLD_SECONDS
    pacing.is_parallel = True
    assert pacing.hold == FIRST_HOLD_SECONDS
    pacing.turn_serial()
    assert pacing.hold == SERIAL_HOLD_SECONDS
    assert (pacing.up.width, pacing.down.width) == (1, 1)
    assert "one at a time" in repr(pacing)


def test_a_doubt_is_remembered_and_soon_no_reason_any_more() -> None:
    path = SharedPath()
    assert not path.has_been_doubted
    assert not path.is_doubted(5.0)
    path.doubt(5.0)
    assert path.is_doubted(5.0 + DOUBT_SECONDS - 0.1)
    assert not path.is_doubted(5.0 + DOUBT_SECONDS)
    assert path.has_been_doubted


def test_a_serial_path_gets_larger_pieces_and_no_more_of_them() -> None:
    pacing = Pacing()
    pacing.turn_serial()
    for _ in range(10):
        pacing.up.passed(pacing.up.size, 0.1)
    assert (pacing.up.size, pacing.up.width) == (LARGEST_SIZE, 1)
    for _ in range(10):
        pacing.up.passed(pacing.up.size, 9.0)
    assert (pacing.up.size, pacing.up.width) == (SMALL_SIZE, 1)


def test_what_was_cut_while_it_stood_idle_teaches_a_limit() -> None:
    pacing = Pacing()
    pacing.is_parallel = True
    assert not pacing.was_cut(1.0)
    assert pacing.idle_limit is None


def test_the_limit_is_a_little_below_and_never_too_short() -> None:
    pacing = Pacing()
    pacing.is_parallel = True
    assert pacing.was_cut(10.0)
    assert pacing.hold == pacing.idle_limit == 8.0
    assert pacing.was_cut(4.5)
    assert pacing.hold == LEAST_HOLD_SECONDS
