"""The proxy scenario: each measurement, and how it is made of generator runs and /proc readings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import DIRECT, Entry, Load, Origin
from bench.peers import Peer
from bench.processes import BenchError, Running

GIGA = 1e9
KIBI = 1024
MEBI = 1024 * 1024
CONNECTS_AT_ONCE = 32
GET_CONNECTIONS = 32
# How long memory is left to settle before it is read.
SETTLE = 0.4
# Seconds between two readings of it while a reader is stalled.
STALL_SAMPLE = 0.1


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each measurement takes."""

    seconds: float
    warmup: float
    stall_seconds: float
    idle_tunnels: tuple[int, ...]


FULL = Effort(seconds=1.5, warmup=0.3, stall_seconds=2.0, idle_tunnels=(1000, 5000))
QUICK = Effort(seconds=0.4, warmup=0.1, stall_seconds=0.8, idle_tunnels=(1000,))


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement needs: the origin, the effort, and the proxy (None: go direct)."""

    origin: Origin
    effort: Effort
    proxy: Running | None = None
    entry: Entry = "connect"

    def load(self, mode: str, origin: str, tunnels: int = 1) -> Load:
        effort = self.effort
        return Load(mode, origin, tunnels, effort.seconds, effort.warmup, entry=self.entry)

    @property
    def address(self) -> str:
        return self.proxy.address if self.proxy else DIRECT

    def processor_seconds(self) -> float:
        return self.proxy.processor_seconds() if self.proxy else 0.0


Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: `run` gives values by figure key; `fresh` wants a process of its own."""

    name: str
    run: Callable[[Bench], Values]
    fresh: bool = False
    direct_too: bool = True
    forwarding: bool = False


def _bulk(bench: Bench, way: str) -> Values:
    before = bench.processor_seconds()
    origin = "source" if way == "down" else "sink"
    result = bench.origin.run(bench.load(f"bulk-{way}", origin), bench.address)
    values = {f"bulk-{way}": result["bytes_per_second"] / GIGA}
    if bench.proxy and result["bytes"]:
        spent = bench.processor_seconds() - before
        values[f"cpu-{way}"] = spent / (result["bytes"] / GIGA)
    return values


def _pingpong(bench: Bench, tunnels: int) -> Values:
    result = bench.origin.run(bench.load("pingpong", "echo", tunnels), bench.address)
    name = f"pingpong-{tunnels}"
    percentiles = {f"{name}-{p}": result[f"{p}_us"] for p in ("p50", "p90", "p99", "p999")}
    return {name: result["per_second"], **percentiles}


def _connects(bench: Bench) -> Values:
    load = bench.load("connects", "echo", CONNECTS_AT_ONCE)
    return {"connects": _clean_rate(bench, load)}


def _gets(bench: Bench) -> Values:
    return {"gets": _clean_rate(bench, bench.load("gets", "http", GET_CONNECTIONS))}


def _clean_rate(bench: Bench, load: Load) -> float:
    result = bench.origin.run(load, bench.address)
    if result["failures"]:
        raise BenchError(f"{result['failures']} of {result['exchanges']} exchanges failed")
    return float(result["per_second"])


def _settled_memory(bench: Bench, proxy: Running) -> int:
    """Memory after one tunnel came and went: what is loaded once is not a tunnel's cost."""
    bench.origin.run(Load("idle", "echo"), proxy.address)
    time.sleep(SETTLE)
    return proxy.memory()


def _idle(bench: Bench, tunnels: int) -> Values:
    assert bench.proxy is not None
    before = _settled_memory(bench, bench.proxy)
    with bench.origin.held(Load("idle", "echo", tunnels), bench.address):
        time.sleep(SETTLE)
        grown = bench.proxy.memory() - before
    return {f"memory-{tunnels}": max(grown, 0) / tunnels / KIBI}


def _stall(bench: Bench) -> Values:
    assert bench.proxy is not None
    before = most = _settled_memory(bench, bench.proxy)
    with bench.origin.held(Load("stall", "source"), bench.address):
        end = time.monotonic() + bench.effort.stall_seconds
        while time.monotonic() < end:
            most = max(most, bench.proxy.memory())
            time.sleep(STALL_SAMPLE)
    return {"stall": (most - before) / MEBI}


def measurements(effort: Effort) -> list[Measurement]:
    """Every measurement of the scenario, in the order they run."""
    return [
        Measurement("bulk-down", lambda bench: _bulk(bench, "down")),
        Measurement("bulk-up", lambda bench: _bulk(bench, "up")),
        Measurement("pingpong-1", lambda bench: _pingpong(bench, 1)),
        Measurement("pingpong-64", lambda bench: _pingpong(bench, 64)),
        Measurement("connects", _connects),
        Measurement("gets", _gets, forwarding=True),
        *(_idle_measurement(tunnels) for tunnels in effort.idle_tunnels),
        Measurement("stall", _stall, fresh=True, direct_too=False),
    ]


def _idle_measurement(tunnels: int) -> Measurement:
    return Measurement(
        f"memory-{tunnels}", lambda bench: _idle(bench, tunnels), fresh=True, direct_too=False
    )


@dataclass(slots=True)
class Fleet:
    """The proxies of one round: started when first needed, one long-lived process each."""

    running: dict[str, Running] = field(default_factory=dict)
    directories: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list)

    def take(self, peer: Peer) -> Running:
        """The peer's process, started anew if it ended. Raises `BenchError`."""
        current = self.running.get(peer.name)
        if current is None or not current.alive():
            current = self.running[peer.name] = self._start(peer)
        return current

    @contextmanager
    def fresh(self, peer: Peer) -> Iterator[Running]:
        """A process of its own for one measurement."""
        started = self._start(peer)
        try:
            yield started
        finally:
            started.stop()

    def _start(self, peer: Peer) -> Running:
        directory = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        self.directories.append(directory)
        return peer.start(Path(directory.name))

    def stop(self) -> None:
        """End every process and remove every directory."""
        for process in self.running.values():
            process.stop()
        for directory in self.directories:
            directory.cleanup()
