"""The log writer: never waits, never loses silently, never tears a line."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from underpass.log_writer import ATOMIC_BYTES, MAX_BUFFER_BYTES, LogWriter
from underpass.observe import Counter, Counters


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


@pytest.fixture
def file_limit() -> Iterator[int]:
    """A disk that is full after 64 bytes, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    yield 64
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)


def until(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        threading.Event().wait(0.005)


def lift_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_lines_are_written_in_order_within_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(path)
    for number in range(1000):
        writer.write(f"line {number}")
    until(lambda: path.read_bytes().count(b"\n") == 1000)
    writer.close()
    assert path.read_text().splitlines() == [f"line {n}" for n in range(1000)]


def test_close_writes_what_is_left_and_a_second_one_does_nothing(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.write("last words")
    writer.close()
    writer.close()
    assert (tmp_path / "log").read_text() == "last words\n"


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    LogWriter(tmp_path / "log").close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


def test_lines_are_appended_and_reopen_follows_a_rename(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    writer = LogWriter(path)
    writer.write("one")
    until(lambda: path.read_text() == "before\none\n")
    path.rename(tmp_path / "log.1")
    writer.reopen()
    writer.write("two")
    writer.close()
    assert (tmp_path / "log.1").read_text() == "before\none\n"
    assert path.read_text() == "two\n"


def test_reopen_without_a_file_does_nothing(pipe: tuple[int, int]) -> None:
    writer = LogWriter(descriptor=pipe[1])
    writer.reopen()
    writer.write("still here")
    writer.close()
    assert os.read(pipe[0], 100) == b"still here\n"


def test_it_moves_to_another_file_and_back(tmp_path: Path, pipe: tuple[int, int]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    writer = LogWriter(one, descriptor=pipe[1])
    for path, line in ((one, "first"), (other, "second"), (None, "third"), (None, "fourth")):
        writer.move(path)
        writer.write(line)
        if path is not None:
            until(partial(_has, path, f"{line}\n"))
    writer.close()
    assert os.read(pipe[0], 100) == b"third\nfourth\n"


def _has(path: Path, text: str) -> bool:
    return path.read_text() == text


def test_where_it_can_not_move_to_it_stays(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    with pytest.raises(OSError, match="No such file"):
        writer.move(tmp_path / "no" / "log")
    writer.write("still here")
    writer.close()
    assert (tmp_path / "log").read_text() == "still here\n"


def test_odd_characters_are_written_as_utf_8(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log")
    writer.write("Zoë \ud800")
    writer.close()
    assert (tmp_path / "log").read_bytes() == "Zoë \\ud800\n".encode()


def test_a_pipe_gets_pieces_that_are_never_mixed(pipe: tuple[int, int]) -> None:
    writer = LogWriter(descriptor=pipe[1])
    lines = ["x" * 1000 for _ in range(20)] + ["y" * (2 * ATOMIC_BYTES)]
    for line in lines:
        writer.write(line)
    writer.close()
    assert os.read(pipe[0], 1 << 16).decode().splitlines() == lines


def test_write_never_waits_and_drops_above_the_bound(pipe: tuple[int, int]) -> None:
    counters = Counters()
    writer = LogWriter(descriptor=pipe[1], counters=counters)
    started = time.monotonic()
    for _ in range(4000):
        writer.write("z" * 999)
    assert time.monotonic() - started < 1
    # The writer took at most one buffer along before it got stuck in the pipe.
    dropped = counters.value(Counter.LOG_LINES_DROPPED)
    assert 4000 - dropped <= 2 * (MAX_BUFFER_BYTES // 1000)
    assert dropped > 0
    received = bytearray()

    def read_on() -> None:
        while data := os.read(pipe[0], 1 << 16):
            received.extend(data)

    reader = threading.Thread(target=read_on)
    reader.start()
    writer.close()
    os.close(pipe[1])
    reader.join(5)
    lines = received.decode().splitlines()
    assert lines.count("z" * 999) == 4000 - dropped
    assert f"{dropped} log lines dropped" in lines


def test_a_closed_pipe_costs_lines_but_nothing_else(pipe: tuple[int, int]) -> None:
    counters = Counters()
    os.close(pipe[0])
    writer = LogWriter(descriptor=pipe[1], counters=counters)
    writer.write("lost")
    until(lambda: counters.value(Counter.LOG_LINES_DROPPED) == 1)
    writer.write("lost too")
    writer.close()
    # The notice that goes with the second is no lost line.
    assert counters.value(Counter.LOG_LINES_DROPPED) == 2


def test_a_descriptor_that_is_gone_costs_lines_but_nothing_else() -> None:
    counters = Counters()
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    writer = LogWriter(descriptor=writing, counters=counters)
    writer.write("lost")
    writer.close()
    assert counters.value(Counter.LOG_LINES_DROPPED) == 1


def test_a_full_disk_is_told_when_it_has_room_again(tmp_path: Path, file_limit: int) -> None:
    path, counters = tmp_path / "log", Counters()
    writer = LogWriter(path, counters=counters, notice=lambda count: f"{count} lost")
    for number in range(5):
        writer.write(f"{number} 3456789 123456789")
    until(lambda: counters.value(Counter.LOG_LINES_DROPPED) == 2)
    assert path.stat().st_size == file_limit
    lift_file_limit()
    writer.write("room again")
    writer.close()
    lines = path.read_text().splitlines()
    # The fourth line was torn by the end of the disk: it is lost, and nothing was added to it.
    assert lines == [
        "0 3456789 123456789",
        "1 3456789 123456789",
        "2 3456789 123456789",
        "3 34",
        "2 lost",
        "room again",
    ]


def test_lines_dropped_at_the_end_are_told_at_the_end(tmp_path: Path, file_limit: int) -> None:
    path, counters = tmp_path / "log", Counters()
    writer = LogWriter(path, counters=counters, notice=lambda count: f"{count} lost")
    writer.write("x" * (file_limit + 1))
    until(lambda: counters.value(Counter.LOG_LINES_DROPPED) == 1)
    lift_file_limit()
    writer.close()
    assert path.read_text() == "x" * file_limit + "\n1 lost\n"


def test_a_non_blocking_pipe_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = LogWriter(descriptor=pipe[1])
    for _ in range(200):
        writer.write("w" * 999)
    received = b""
    while received.count(b"\n") < 200:
        received += os.read(pipe[0], 1 << 16)
    writer.close()
    assert received == (b"w" * 999 + b"\n") * 200


def test_close_does_not_wait_for_ever_on_a_non_blocking_pipe(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    counters = Counters()
    writer = LogWriter(descriptor=pipe[1], counters=counters)
    for _ in range(200):
        writer.write("w" * 999)
    started = time.monotonic()
    writer.close()
    assert time.monotonic() - started < 2
    assert counters.value(Counter.LOG_LINES_DROPPED) > 0
