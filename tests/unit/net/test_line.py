"""What waits before a slow line is kept short; a fast, starting or foreign one is left alone."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from underpass.net import line as module
from underpass.net.line import (
    ALONE_SECONDS,
    BEST_SECONDS,
    FUTILE_SECONDS,
    HOLD_SECONDS,
    LEAST_OUT,
    LEAST_PORTION,
    LOOK_SECONDS,
    MOST_BUFFER,
    MOST_PORTION,
    MOST_UNSENT,
    Line,
    LineState,
    Restraint,
    line_of,
    read_state,
)

# 20 Mbit/s and 80 ms, with 150 ms of packets on the way: 70 ms of them wait in a queue.
RATE = 2_500_000
FULL = LineState(
    out=int(RATE * 0.150),
    unsent=0,
    round_trip=0.150,
    deviation=0.001,
    shortest=0.080,
    rate=RATE,
    pacing=RATE,
)


def tcp_info(state: LineState) -> bytes:
    """As Linux lays it out: one byte to a segment, so that `out` stands as it is."""
    info = bytearray(240)
    for at, value in (
        (16, 1),
        (24, state.out),
        (68, round(state.round_trip * 1e6)),
        (72, round(state.deviation * 1e6)),
        (144, state.unsent),
        (148, round(state.shortest * 1e6)),
    ):
        struct.pack_into("=I", info, at, value)
    struct.pack_into("=Q", info, 104, state.pacing)
    struct.pack_into("=Q", info, 160, state.rate)
    return bytes(info)


def test_reads_what_the_kernel_says() -> None:
    assert read_state(tcp_info(FULL)) == FULL


def test_a_kernel_that_says_less_tells_nothing() -> None:
    assert read_state(tcp_info(FULL)[:160]) is None


def known(at: float = 0.0) -> Restraint:
    """One that has seen all that the line carries, some round trips before."""
    restraint = Restraint()
    restraint.holds(FULL, at - 1)
    return restraint


def test_holds_while_more_is_out_than_the_line_carries() -> None:
    assert known().holds(FULL, 1.0)


def test_a_rate_that_grows_is_not_held() -> None:
    restraint = Restraint()
    for at, rate in ((1.0, RATE // 8), (1.2, RATE // 4), (1.4, RATE // 2), (1.6, RATE)):
        assert not restraint.holds(replace(FULL, rate=rate), at)
    assert not restraint.holds(FULL, 1.6 + FULL.round_trip)
    assert restraint.holds(FULL, 1.6 + 4 * FULL.round_trip)


def test_a_rate_that_falls_while_it_is_held_does_not_lower_what_may_be_out() -> None:
    restraint = known()
    little = replace(FULL, out=int(RATE * 0.080), rate=RATE // 4)
    assert not restraint.holds(little, 1.0)


def test_a_rate_that_stays_low_counts_after_a_while() -> None:
    restraint = known()
    little = replace(FULL, out=int(RATE * 0.080), rate=RATE // 4)
    assert not restraint.holds(replace(little, round_trip=0.080), 1 + BEST_SECONDS)
    assert restraint.holds(little, 2 + 2 * BEST_SECONDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"round_trip": 0.085},
        {"out": int(RATE * 0.085)},
        # A way that varies by itself: its mean is above its shortest, and nothing waits.
        {"round_trip": 0.110, "deviation": 0.015},
        {"out": LEAST_OUT, "shortest": 0.001},
    ],
    ids=["no queue", "little out", "a way that varies", "a few packets"],
)
def test_does_not_hold(changes: dict[str, Any]) -> None:
    assert not known().holds(replace(FULL, **changes), 1.0)


def test_what_waits_in_the_kernel_counts_as_out() -> None:
    little = replace(FULL, out=int(RATE * 0.085))
    assert known().holds(replace(little, unsent=64 * 1024), 1.0)


def test_a_queue_that_stays_is_somebody_elses_and_left_alone_for_a_while() -> None:
    restraint = known()
    began = 1.0
    assert restraint.holds(FULL, began)
    assert restraint.holds(FULL, began + FUTILE_SECONDS)
    alone = began + FUTILE_SECONDS + 0.1
    assert not restraint.holds(FULL, alone)
    assert not restraint.holds(FULL, alone + ALONE_SECONDS - 0.1)
    assert restraint.holds(FULL, alone + ALONE_SECONDS)


def test_a_queue_that_went_meanwhile_is_no_reason_to_give_up() -> None:
    restraint = known()
    assert restraint.holds(FULL, 1.0)
    assert not restraint.holds(replace(FULL, round_trip=0.081), 2.0)
    assert restraint.holds(FULL, 2.0 + FUTILE_SECONDS)


class FakeSocket:
    """Answers TCP_INFO as it is told, and keeps what was set."""

    def __init__(self, state: LineState) -> None:
        self.state = state
        self.looks = 0
        self.options: dict[int, int | bytes] = {}
        self.buffer: int | bytes | None = None

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        self.looks += 1
        return tcp_info(self.state)[:size]

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        if level == socket.IPPROTO_TCP:
            self.options[option] = value
        else:
            assert (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF)
            self.buffer = value


class FakeTransport:
    """A transport with a protocol that counts how often it may go on."""

    def __init__(self, sock: FakeSocket | None, peer: object = ("192.0.2.1", 443)) -> None:
        self._extra = {"socket": sock, "peername": peer}
        self.resumed = 0
        self.waiting = 0
        self.limits = (0, 0)

    def get_extra_info(self, name: str) -> object:
        return self._extra[name]

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self.limits = (high, low)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_protocol(self) -> FakeTransport:
        return self

    def is_closing(self) -> bool:
        return False

    def resume_writing(self) -> None:
        self.resumed += 1


def line_with(state: LineState) -> tuple[Line, FakeTransport, FakeSocket]:
    sock = FakeSocket(state)
    transport = FakeTransport(sock)
    line = line_of(cast("asyncio.Transport", transport))
    assert line is not None
    # Long ago it has seen what the line carries.
    line._restraint = known(at=asyncio.get_running_loop().time() - 1)
    return line, transport, sock


async def passed(seconds: float) -> None:
    """Let a timer of so long fire."""
    await asyncio.sleep(seconds)


async def test_holds_the_writer_and_lets_it_go_on_by_itself() -> None:
    line, transport, _ = line_with(FULL)
    assert line.holds()
    assert line.holds()
    await passed(2 * HOLD_SECONDS)
    assert transport.resumed == 1
    assert line.holds(), "the line is as full as before"
    await passed(2 * HOLD_SECONDS)
    assert transport.resumed == 2


async def test_a_full_transport_says_itself_when_it_has_room() -> None:
    line, transport, _ = line_with(FULL)
    assert line.holds()
    transport.waiting = MOST_BUFFER + 1
    await passed(2 * HOLD_SECONDS)
    assert transport.resumed == 0


async def test_asks_the_kernel_seldom_where_the_line_is_fast() -> None:
    line, _, sock = line_with(replace(FULL, round_trip=0.080, rate=10**9, pacing=10**9))
    for _ in range(100):
        assert not line.holds()
    assert sock.looks == 1
    await passed(2 * LOOK_SECONDS)
    assert not line.holds()
    assert sock.looks == 2


async def test_a_slow_line_gets_small_portions_and_little_waits_before_it() -> None:
    line, transport, sock = line_with(FULL)
    assert line.portion == MOST_PORTION
    assert sock.options[socket.TCP_NOTSENT_LOWAT] == MOST_UNSENT
    line.holds()
    assert line.portion == 8 * 1024
    assert transport.limits == (8 * 1024, 2 * 1024)
    assert sock.options[socket.TCP_NOTSENT_LOWAT] == 16 * 1024


async def test_before_a_slow_line_the_kernel_says_when_it_is_full() -> None:
    empty = replace(FULL, out=0, round_trip=0.080)
    line, _, sock = line_with(empty)
    assert not line.holds()
    sock.state = replace(empty, unsent=16 * 1024)
    assert line.holds()


async def test_before_a_fast_line_the_transport_does() -> None:
    line, _, _ = line_with(
        replace(FULL, round_trip=0.080, unsent=MOST_UNSENT, rate=10**9, pacing=10**9)
    )
    assert not line.holds()


async def test_a_fast_line_gets_whole_portions() -> None:
    line, transport, _ = line_with(replace(FULL, rate=10**9, pacing=10**9))
    assert not line.holds()
    assert line.portion == MOST_PORTION
    assert transport.limits == (MOST_BUFFER, MOST_BUFFER // 4)


async def test_a_line_with_next_to_nothing_on_it_gets_portions_worth_a_write() -> None:
    line, _, _ = line_with(replace(FULL, rate=1, pacing=1))
    line.holds()
    assert line.portion == LEAST_PORTION


async def test_a_line_that_is_found_out_is_never_held_and_never_dry() -> None:
    line, _, sock = line_with(replace(FULL, pacing=3 * RATE))
    assert not line.holds()
    assert sock.options[socket.TCP_NOTSENT_LOWAT] == 64 * 1024
    line, _, sock = line_with(replace(FULL, rate=10 * RATE, pacing=30 * RATE))
    assert not line.holds()
    assert sock.options[socket.TCP_NOTSENT_LOWAT] == 512 * 1024


async def test_asks_for_bbr() -> None:
    _, _, sock = line_with(FULL)
    assert sock.options[socket.TCP_CONGESTION] == b"bbr"


@pytest.mark.parametrize("local", ["127.0.0.1", "::1"])
async def test_on_this_machine_is_no_line(local: str) -> None:
    near = FakeSocket(FULL)
    line = line_of(cast("asyncio.Transport", FakeTransport(near, (local, 80))))
    assert line is not None
    assert not line.holds()
    assert near.looks == 0
    assert set(near.options) == {socket.TCP_NOTSENT_LOWAT}


@pytest.mark.parametrize(
    ("explicit", "grown", "buffer"),
    [("4194304", "4096 16384 4194304", 4194304), ("212992", "4096 16384 4194304", None)],
    ids=["larger", "smaller"],
)
async def test_the_send_buffer_is_set_only_where_that_makes_it_larger(
    explicit: str,
    grown: str,
    buffer: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in (("_MOST_EXPLICIT", explicit), ("_MOST_GROWN", grown)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(module, name, str(tmp_path / name))
    _, _, sock = line_with(FULL)
    assert sock.buffer == buffer


async def test_a_kernel_that_says_nothing_of_buffers_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_EXPLICIT", str(tmp_path / "none"))
    _, _, sock = line_with(FULL)
    assert sock.buffer is None


async def test_what_is_no_tcp_has_no_line() -> None:
    for transport in (FakeTransport(None), FakeTransport(FakeSocket(FULL), "/run/socket")):
        assert line_of(cast("asyncio.Transport", transport)) is None
