"""What the bench reads from the kernel, and how it starts and ends programs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import BenchError, family, free_port, memory, processor_seconds, start

SERVER = """\
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", {port}))
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(f"listening http://127.0.0.1:{{listener.getsockname()[1]}}", flush=True)
while True: listener.accept()
"""


def command(port: int) -> list[str]:
    return [sys.executable, "-c", SERVER.format(port=port)]


def test_start_reads_the_printed_address_and_stop_ends_the_family(tmp_path: Path) -> None:
    running = start("server", command(0), tmp_path, None)
    members = family(running.process.pid)
    assert running.address.startswith("127.0.0.1:")
    assert len(members) == 2
    assert running.memory() == pytest.approx(sum(memory(pid) for pid in members), rel=0.1)
    assert running.processor_seconds() >= 0
    running.stop()
    assert family(running.process.pid) == []


def test_stop_ends_a_child_that_left_the_group(tmp_path: Path) -> None:
    leaving = SERVER.replace("stdin=subprocess.PIPE", "stdin=subprocess.PIPE, process_group=0")
    running = start("server", [sys.executable, "-c", leaving.format(port=0)], tmp_path, None)
    _, child = family(running.process.pid)
    end = os.pidfd_open(child)
    running.stop()
    assert select.select([end], [], [], 5)[0] == [end]
    os.close(end)


def test_start_waits_for_a_given_address(tmp_path: Path) -> None:
    port = free_port()
    running = start("server", command(port), tmp_path, f"127.0.0.1:{port}")
    assert running.alive()
    running.stop()


def test_start_tells_the_last_words_of_a_program_that_ends(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with pytest.raises(BenchError, match="no such luck"):
        start("server", failing, tmp_path, None)


def test_own_figures_are_plausible() -> None:
    assert memory(os.getpid()) > 1_000_000
    assert processor_seconds(os.getpid()) > 0


def test_figures_of_a_process_that_is_gone_are_nothing() -> None:
    gone = 2**22 + 1
    assert (memory(gone), processor_seconds(gone), family(gone)) == (0, 0.0, [])


def test_time_of_children_that_are_gone_is_counted() -> None:
    before = processor_seconds(os.getpid())
    busy = "import time; end = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert processor_seconds(os.getpid()) - before >= 0.09
