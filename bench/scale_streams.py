"""Scenario 5, streams: many of them in one session, between a server and a client of their own."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chapters.scale import BOTH, CLIENT, SERVER
from bench.figures import US
from bench.generator import RUN_TIMEOUT, Load, Origin
from bench.processes import BenchError, Running
from bench.programs.own import Underpass
from bench.programs.tunnel_program import Place

GIGA = 1e9
KIBI = 1024
MEBI = 1024 * 1024
# How long memory is left to settle before it is read.
SETTLE = 0.5
# Over how long what idle ones cost is measured: the clocks count hundredths of a second.
IDLE_SECONDS = 2.0
WARMUP = 0.2
# And what many streams take until every buffer on the way is as full as it will be: so much, and
# so much for each.
FULL_AFTER = 1.0
FULL_AFTER_EACH = 0.0006

# What the kernel keeps of each busy stream at the origin: with buffers that grow as they like,
# 1,000 transfers at once fill all that it has for TCP (1 GB here), and it drops what comes.
BUSY_BUFFER = 64 * 1024

# Beyond what is measured; unless told, a session has 1,024 streams, a user 64 sessions, and one
# address says hello ten times a second.
CONFIGURATION = """\
[server.limits]
max_streams_per_session = 20000
max_streams_per_user = 20000
max_sessions = 8192
max_sessions_per_user = 8192
max_hellos_per_client = 0
"""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many of what, and how long a transfer is.

    Fewer streams are busy than open: 10,000 transfers at once fill all that the kernel has for TCP
    even with small buffers.
    """

    streams: tuple[int, ...]
    busy_streams: tuple[int, ...]
    clients: tuple[int, ...]
    busy_clients: int
    seconds: float


FULL = Effort((1, 10, 100, 1000, 10000), (1, 10, 100, 1000), (1, 10, 100, 500, 2000), 500, 1.0)
QUICK = Effort((1, 100, 1000), (1, 100), (1, 20, 100), 50, 0.4)

# By program, then by figure key.
Found = dict[str, dict[str, float]]
# By curve key, then by line: where, and how much.
Points = dict[str, dict[str, tuple[float, float]]]


def program(directory: Path) -> Underpass:
    """Our server and client, with limits beyond what is measured."""
    file = directory / "server.toml"
    file.write_text(CONFIGURATION)
    return Underpass(US, "websocket", server_flags=("--config", str(file)))


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of one session, and the origin behind."""

    origin: Origin
    server: Running
    client: Running

    @property
    def entry(self) -> str:
        """Where programs come in."""
        return self.client.address

    def memory(self) -> dict[str, int]:
        """Bytes that each end holds."""
        return {SERVER: self.server.memory(), CLIENT: self.client.memory()}

    def spent(self) -> dict[str, float]:
        """Processor seconds of each end so far, and of both."""
        server, client = self.server.processor_seconds(), self.client.processor_seconds()
        return {SERVER: server, CLIENT: client, BOTH: server + client}

    def cost(self, way: str, streams: int, seconds: float) -> dict[str, float]:
        """Processor seconds of each end for 10⁹ bytes, where so many streams all move some.

        Raises `BenchError`.
        """
        warmup = FULL_AFTER + FULL_AFTER_EACH * streams if streams > 1 else WARMUP
        origin = "source" if way == "down" else "sink"
        load = Load(f"bulk-{way}", origin, streams, seconds, warmup, entry="socks5")
        spent, done, begun = self._measured(load)
        return {end: seconds / ((done["bytes"] - begun) / GIGA) for end, seconds in spent.items()}

    def exchange_cost(self, streams: int, seconds: float) -> dict[str, float]:
        """Processor µs of each end for a small message and its echo, one under way in each stream.

        Raises `BenchError`.
        """
        load = Load("pingpong", "echo", streams, seconds, WARMUP, entry="socks5")
        spent, done, _ = self._measured(load)
        return {end: seconds * 1e6 / done["exchanges"] for end, seconds in spent.items()}

    def _measured(self, load: Load) -> tuple[dict[str, float], dict[str, Any], int]:
        """Processor seconds of each end while it is measured, the result, and bytes before that."""
        command = [*self.origin.command(load, self.entry), "--announce", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            begun = json.loads(process.stdout.readline() or "{}")
            before = self.spent()
            done = json.loads(process.stdout.readline() or "{}")
            after = self.spent()
            process.wait(RUN_TIMEOUT)
        if "failures" not in done:
            died = f"the generator ended with {process.returncode}"
            raise BenchError(begun.get("error") or done.get("error") or died)
        return {end: after[end] - before[end] for end in after}, done, begun["measuring"]


@contextmanager
def ends(buffer: int = 0) -> Iterator[Ends]:
    """A server and its client, with one stream come and gone; `buffer` is the origin's.

    Raises `BenchError`.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        ours = program(place.directory)
        origin = Origin(buffer)
        try:
            server = ours.start_server(place, "")
            try:
                client = ours.start_client(place, server.address, "")
                try:
                    origin.run(Load("idle", "echo", entry="socks5"), client.address)
                    yield Ends(origin, server, client)
                finally:
                    client.stop()
            finally:
                server.stop()
        finally:
            origin.close()


def idle_streams(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """Memory of idle streams, and what opening and keeping them costs. Raises `BenchError`."""
    with ends() as both:
        time.sleep(SETTLE)
        bare = both.memory()
        for count in effort.streams:
            is_last = count == effort.streams[-1]
            found: Found = {SERVER: {}, CLIENT: {}}
            points: Points = {"memory-streams": {}}
            before = both.spent()
            with both.origin.held(Load("idle", "echo", count, entry="socks5"), both.entry):
                opened = both.spent()
                time.sleep(SETTLE)
                for end, memory in both.memory().items():
                    points["memory-streams"][end] = (count, memory / MEBI)
                    grown = max(memory - bare[end], 0) / count / KIBI
                    found[end] |= _if_known(f"stream-memory-{count}", grown)
                    if is_last:
                        found[end]["open-stream"] = (opened[end] - before[end]) * 1e3 / count
                for end, milliseconds in idle_cost(both).items() if is_last else ():
                    found[end]["idle-streams"] = milliseconds
            yield found, points


def one_busy_stream(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """What the bytes of one stream cost while others are open. Raises `BenchError`."""
    costs: list[float] = []
    with ends() as both:
        for count in effort.streams:
            with both.origin.held(Load("idle", "echo", count, entry="socks5"), both.entry):
                cost = _cost(both, effort.seconds)
            costs.append(cost[BOTH])
            yield {}, {"cost-open": {end: (count, seconds) for end, seconds in cost.items()}}
    yield {BOTH: {"flat-open": farthest(costs)}}, {}


def farthest(costs: Sequence[float]) -> float:
    """The cost that is farthest from the first, by the first; above 1 is dearer."""
    ratios = [cost / costs[0] for cost in costs[1:]]
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=1.0)


def _if_known(key: str, value: float) -> dict[str, float]:
    known = {"stream-memory-1000", "stream-memory-10000"}
    return {key: value} if key in known else {}


def idle_cost(both: Ends) -> dict[str, float]:
    """Processor milliseconds a second that each end needs while nothing happens."""
    before = both.spent()
    time.sleep(IDLE_SECONDS)
    after = both.spent()
    return {end: (after[end] - before[end]) * 1e3 / IDLE_SECONDS for end in (SERVER, CLIENT)}


def _cost(both: Ends, seconds: float) -> dict[str, float]:
    """Processor seconds of each end for 10⁹ bytes of one stream, half of them each way."""
    up, down = (both.cost(way, 1, seconds) for way in ("up", "down"))
    return {end: (up[end] + down[end]) / 2 for end in (SERVER, CLIENT, BOTH)}


def busy_streams(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """What bytes cost where all streams move as many as they can. Raises `BenchError`."""
    costs: list[float] = []
    with ends(BUSY_BUFFER) as both:
        for count in effort.busy_streams:
            cost = both.cost("down", count, 2 * effort.seconds)
            costs.append(cost[BOTH])
            points: Points = {"cost-busy": {}, "memory-busy": {}}
            for end, size in both.memory().items():
                points["memory-busy"][end] = (count, size / MEBI)
            for end, seconds in cost.items():
                points["cost-busy"][end] = (count, seconds)
            yield {}, points
    yield {BOTH: {"flat-busy": farthest(costs)}}, {}


def busy_exchanges(effort: Effort) -> Iterator[tuple[Found, Points]]:
    """What a small exchange costs where all streams make them. Raises `BenchError`."""
    with ends() as both:
        for count in effort.streams:
            cost = both.exchange_cost(count, effort.seconds)
            yield {}, {"cost-exchange": {end: (count, spent) for end, spent in cost.items()}}
