"""The load generator: it measures a right relay, and a wrong byte never passes unseen."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench import generator
from bench.generator import DIRECT, Load, Origin, compiled
from bench.processes import BenchError

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")

Damage = Callable[[bytes], bytes]


def short(mode: str, service: str, tunnels: int = 1) -> Load:
    return Load(mode, service, tunnels, seconds=0.05, warmup=0.0, patience=0.1)


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    origin = Origin()
    yield origin
    origin.close()


def whole(data: bytes) -> bytes:
    return data


def with_a_bit_turned(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def with_a_byte_lost(data: bytes) -> bytes:
    return data[1:]


class Relay:
    """A CONNECT proxy for one tunnel that may damage what it carries."""

    def __init__(self, down: Damage = whole, up: Damage = whole) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.damages = {"down": down, "up": up}
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        client, _ = self.listener.accept()
        head = client.recv(4096).decode()
        host, _, port = head.split()[1].partition(":")
        with client, socket.create_connection((host, int(port))) as origin:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            up = threading.Thread(target=self.carry, args=(client, origin, "up"))
            up.start()
            self.carry(origin, client, "down")
            up.join()

    def carry(self, source: socket.socket, target: socket.socket, way: str) -> None:
        damage, carried = self.damages[way], 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                # The first bytes pass: it is the transfer that is damaged, not its start.
                target.sendall(damage(data) if carried else data)
                carried += len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.thread.join(10)
        self.listener.close()


def run_through(origin: Origin, relay: Relay, load: Load) -> dict[str, object]:
    try:
        return origin.run(load, relay.address)
    finally:
        relay.close()


LOADS = {
    "down": short("bulk-down", "source"),
    "up": short("bulk-up", "sink"),
    "messages": short("pingpong", "echo"),
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_run_through_a_right_relay_succeeds(origin: Origin, load: Load) -> None:
    assert run_through(origin, Relay(), load)["failures"] == 0


@pytest.mark.parametrize("damage", [with_a_bit_turned, with_a_byte_lost])
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_run_through_a_damaging_relay_fails(origin: Origin, load: Load, damage: Damage) -> None:
    way = "up" if load.mode == "bulk-up" else "down"
    relay = Relay(**{way: damage})
    with pytest.raises(BenchError):
        run_through(origin, relay, load)


@pytest.mark.parametrize("mode", ["connects", "gets"])
def test_run_direct_counts_exchanges(origin: Origin, mode: str) -> None:
    load = short(mode, "echo" if mode == "connects" else "http", 4)
    result = origin.run(load, DIRECT)
    assert result["exchanges"] > 0
    assert result["failures"] == 0
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["max_us"] * 1.02


@pytest.mark.parametrize(("mode", "service"), [("idle", "echo"), ("stall", "source")])
def test_held_keeps_its_tunnels_until_left(origin: Origin, mode: str, service: str) -> None:
    with origin.held(Load(mode, service, 3), DIRECT) as result:
        assert result["ready"] == 3


def test_compiled_is_whole_whoever_else_compiles_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "small.c").write_text("int main(void) { return 7; }")
    monkeypatch.setattr(generator, "HERE", tmp_path)
    monkeypatch.setattr(generator, "BINARIES", tmp_path / "bin")
    with ThreadPoolExecutor(3) as pool:
        for binary in pool.map(compiled, ["small"] * 3):
            assert subprocess.run([binary], check=False).returncode == 7
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["small"]


def test_compiled_tells_what_the_compiler_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.c").write_text("int main(void) { return nothing; }")
    monkeypatch.setattr(generator, "HERE", tmp_path)
    monkeypatch.setattr(generator, "BINARIES", tmp_path / "bin")
    with pytest.raises(BenchError, match=r"(?s)could not compile broken\.c.*nothing"):
        compiled("broken")


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "localhost"])
def test_other_than_loopback_is_refused(host: str) -> None:
    command = [str(compiled("loadgen")), "gets", "--proxy", "direct", "--origin", f"{host}:80"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error" in done.stdout
