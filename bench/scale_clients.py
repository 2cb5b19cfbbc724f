"""Scenario 5, clients: many sessions at one server. The clients are `bench.many_clients`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chapters.scale import CLIENT, SERVER
from bench.generator import Origin
from bench.processes import BenchError, Running
from bench.programs.launch import run
from bench.programs.own import STATE
from bench.programs.tunnel_program import Place
from bench.scale_streams import (
    IDLE_SECONDS,
    KIBI,
    MEBI,
    SETTLE,
    Effort,
    Found,
    Points,
    program,
)

STREAMS_OF_A_BUSY_CLIENT = 4
KNOWN = ("session-memory-100", "session-memory-2000")


@dataclass(frozen=True, slots=True)
class Crowd:
    """The process of all the clients; `log` is where it says what went wrong."""

    running: Running
    log: Path

    def tell(self, **command: Any) -> dict[str, Any]:
        """One command, and its answer. Raises `BenchError`."""
        process = self.running.process
        assert process.stdin is not None
        assert process.stdout is not None
        # Where they have ended, that there is no answer tells.
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            last = self.log.read_text().strip().rpartition("\n")[2]
            raise BenchError(f"the clients have failed at {command}: {last[-200:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True, slots=True)
class Stage:
    """A server and the process that is all its clients."""

    server: Running
    crowd: Crowd

    def memory(self) -> dict[str, int]:
        """Bytes that each process holds."""
        return {SERVER: self.server.memory(), CLIENT: self.crowd.running.memory()}

    def spent(self) -> dict[str, float]:
        """Processor seconds of each process so far."""
        return {
            SERVER: self.server.processor_seconds(),
            CLIENT: self.crowd.running.processor_seconds(),
        }


@contextmanager
def stage() -> Iterator[Stage]:
    """A server with one client. Raises `BenchError`."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ours = program(folder)
        place = Place(folder)
        origin = Origin()
        try:
            server = ours.start_server(place, "")
            try:
                crowd = _crowd(place, server, origin.ports["echo"][0])
                try:
                    crowd.tell(do="connect", count=1)
                    crowd.tell(do="open", each=1)
                    yield Stage(server, crowd)
                finally:
                    crowd.running.stop()
            finally:
                server.stop()
        finally:
            origin.close()


def _crowd(place: Place, server: Running, port: int) -> Crowd:
    folder = place.folder("clients")
    state = str(place.directory / STATE)
    underpass = str(Path(sys.executable).parent / "underpass")
    url = f"http://{server.address}"
    invite = run([underpass, "invite", "crowd", "--url", url, "--state", state], folder)
    file = folder / "log"
    with file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.many_clients"],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None
    where = {"invite": invite.strip(), "state": str(folder), "origin": ["127.0.0.1", port]}
    process.stdin.write(json.dumps(where) + "\n")
    return Crowd(Running("clients", "", process), file)


def many_clients(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """Memory and cost of more and more clients, each with one stream. Raises `BenchError`."""
    with stage() as both:
        time.sleep(SETTLE)
        bare = both.memory()
        for count in effort.clients:
            found: Found = {SERVER: {}, CLIENT: {}}
            points: Points = {"memory-clients": {}, "cost-clients": {}}
            before = both.spent()
            both.crowd.tell(do="connect", count=count)
            connected = both.spent()
            time.sleep(SETTLE)
            is_last = count == effort.clients[-1]
            for end, memory in both.memory().items():
                points["memory-clients"][end] = (count, memory / MEBI)
                if f"session-memory-{count}" in KNOWN:
                    grown = max(memory - bare[end], 0) / max(count - 1, 1) / KIBI
                    found[end][f"session-memory-{count}"] = grown
                if is_last:
                    begun = count - effort.clients[-2]
                    found[end]["open-session"] = (connected[end] - before[end]) * 1e3 / begun
            if is_last:
                idle = both.spent()
                time.sleep(IDLE_SECONDS)
                for end, seconds in both.spent().items():
                    found[end]["idle-sessions"] = (seconds - idle[end]) * 1e3 / IDLE_SECONDS
            both.crowd.tell(do="open", each=1)
            _, cost = _exchanges(both, effort.seconds)
            points["cost-clients"] = {end: (count, spent) for end, spent in cost.items()}
            yield found, points


def busy_server(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """Many clients with some busy streams each. Raises `BenchError`."""
    with stage() as both:
        both.crowd.tell(do="connect", count=effort.busy_clients)
        both.crowd.tell(do="open", each=STREAMS_OF_A_BUSY_CLIENT)
        answer, cost = _exchanges(both, 3 * effort.seconds)
        percentiles = {f"busy-{name}": answer[name] for name in ("p50", "p90", "p99", "p999")}
        memory = both.memory()
        found = {
            end: {"busy-cost": spent, "busy-memory": memory[end] / MEBI}
            for end, spent in cost.items()
        }
        found[SERVER] |= {"busy-rate": answer["per_second"], **percentiles}
        yield found, {}


def _exchanges(both: Stage, seconds: float) -> tuple[dict[str, Any], dict[str, float]]:
    """What the clients say of their exchanges, and the µs of processor time an exchange."""
    before = both.spent()
    answer = both.crowd.tell(do="exchange", seconds=seconds)
    after = both.spent()
    return answer, {end: (after[end] - before[end]) * 1e6 / answer["exchanges"] for end in after}
