"""What the bench reads from the kernel, and how it ends programs."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import Running, family, memory, processor_seconds
from bench.programs.launch import Launch

SERVER = """\
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(f"listening http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
while True: listener.accept()
"""
DEAF = """\
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print("listening http://127.0.0.1:1", flush=True)
signal.pause()
"""


def started(code: str, folder: Path) -> Running:
    command = [sys.executable, "-c", code]
    return Launch("server", folder, command).start_saying(r"listening http://(\S+:\d+)")


def assert_stop_ends_the_child(running: Running) -> None:
    _, child = family(running.process.pid)
    end = os.pidfd_open(child)
    running.stop()
    assert select.select([end], [], [], 5)[0] == [end]
    os.close(end)


def test_stop_ends_the_family(tmp_path: Path) -> None:
    running = started(SERVER, tmp_path)
    members = family(running.process.pid)
    assert len(members) == 2
    assert running.memory() == pytest.approx(sum(memory(pid) for pid in members), rel=0.1)
    assert running.processor_seconds() >= 0
    running.stop()
    assert family(running.process.pid) == []


def test_stop_ends_a_child_that_left_the_group(tmp_path: Path) -> None:
    leaving = SERVER.replace("stdin=subprocess.PIPE", "stdin=subprocess.PIPE, process_group=0")
    assert_stop_ends_the_child(started(leaving, tmp_path))


def test_stop_ends_a_child_that_does_not_listen(tmp_path: Path) -> None:
    assert_stop_ends_the_child(started(DEAF, tmp_path))


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
