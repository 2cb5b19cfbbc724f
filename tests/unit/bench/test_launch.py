"""How an end of a tunnel is started, and how the bench knows that it serves."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from bench.processes import BenchError, NeverUpError, free_port
from bench.programs import launch
from bench.programs.launch import Launch, listening_ports, listens, run, split

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:0050 0100007F:A001 01 00000000:00000000 00:00000000 00000000     0
"""
LISTENER = """\
import socket, sys, time
listener = socket.create_server(("127.0.0.1", {port}))
print(f"listening socks5://127.0.0.1:{{listener.getsockname()[1]}}", flush=True)
print("tunnel up: yes", flush=True)
time.sleep(60)
"""


def python(code: str, folder: Path) -> Launch:
    return Launch("program", folder, [sys.executable, "-c", code])


def test_listening_ports_leaves_out_what_is_connected() -> None:
    assert listening_ports(TABLE) == {8080}


def test_listens_asks_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listens(os.getpid(), port)
    assert not listens(os.getpid(), port)
    assert not listens(2**22 + 1, port)


def test_start_listening_waits_without_a_stream(tmp_path: Path) -> None:
    port = free_port()
    running = python(LISTENER.format(port=port), tmp_path).start_listening(f"127.0.0.1:{port}")
    assert running.alive()
    running.stop()


def test_start_saying_finds_the_address(tmp_path: Path) -> None:
    running = python(LISTENER.format(port=0), tmp_path).start_saying(
        r"listening socks5://(\S+)", also="tunnel up"
    )
    assert split(running.address)[0] == "127.0.0.1"
    running.stop()


def test_program_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="it ended with 1; its last words: no luck") as told:
        python("raise SystemExit('no luck')", tmp_path).start_listening("127.0.0.1:1")
    assert not isinstance(told.value, NeverUpError)


def test_program_that_never_gets_ready_is_told_apart_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "START_TIMEOUT", 0.05)
    with pytest.raises(NeverUpError, match=r"it did not say '.ready.'"):
        python("import time; time.sleep(60)", tmp_path).start_saying("(ready)")


def test_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="could not be started"):
        Launch("program", tmp_path, ["/no/such/program"]).start()


def test_run_gives_what_was_printed_and_tells_a_failure(tmp_path: Path) -> None:
    assert run(["sh", "-c", 'cat; printf "$MARK"'], tmp_path, "in ", MARK="out") == "in out"
    with pytest.raises(BenchError, match="ended with 3: alas"):
        run(["sh", "-c", "printf alas >&2; exit 3"], tmp_path)
