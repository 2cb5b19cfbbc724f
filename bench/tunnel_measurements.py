"""What is measured of a tunnel: each of generator runs and of what /proc says of both its ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.boxes import Box
from bench.generator import DIRECT, Load, Origin, Result
from bench.pairs import Pair, Pairs, destination, running_pair
from bench.processes import BenchError
from bench.programs.tunnel_program import TunnelProgram

GIGA = 1e9
MEGA = 1e6
KIBI = 1024
CONNECTS_AT_ONCE = 32
IDLE_STREAMS = 1000
# How long memory is left to settle before it is read.
SETTLE = 0.4
# A stream that is not open by then won't be: this is not the place to wait for it.
SETUP_SECONDS = 10.0
PATIENCE_SECONDS = 5.0

Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each measurement takes, in seconds; through a box it must first find its pace."""

    seconds: float
    warmup: float
    box_seconds: float
    box_warmup: float

    def load(self, mode: str, service: str, streams: int, box: Box | None) -> Load:
        """A run of that length, without its entry."""
        length = (self.box_seconds, self.box_warmup) if box else (self.seconds, self.warmup)
        return Load(mode, service, streams, *length, patience=PATIENCE_SECONDS, setup=SETUP_SECONDS)


FULL = Effort(seconds=1.0, warmup=0.3, box_seconds=1.5, box_warmup=1.5)
QUICK = Effort(seconds=0.4, warmup=0.1, box_seconds=0.8, box_warmup=0.4)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement needs; without a `program` it goes straight to the origin."""

    pairs: Pairs
    effort: Effort
    program: TunnelProgram | None
    box: Box | None = None

    @property
    def origin(self) -> Origin:
        return self.pairs.origin

    def pair(self, service: str) -> Pair | None:
        """The tunnel to use for one of the origin's services."""
        return self.pairs.take(self.program, service, self.box) if self.program else None

    def run(self, mode: str, service: str, streams: int = 1) -> tuple[Result, float]:
        """One run of the generator: its result, and the processor seconds of both ends."""
        load = self.effort.load(mode, service, streams, self.box)
        pair = self.pair(service)
        if pair is None:
            return self.origin.run(load, DIRECT), 0.0
        before = pair.processor_seconds()
        try:
            result = self.origin.run(replace(load, entry=pair.entry), pair.client.address)
        except BenchError:
            # Whatever is stuck in it would be the next measurement's.
            pair.stop()
            raise
        return result, pair.processor_seconds() - before

    def key(self, name: str) -> str:
        """The figure's key, of this box."""
        return f"{self.box.name}-{name}" if self.box else name


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: `run` gives values by figure key, and `rates` are those that are 0 where
    nothing arrives. `streams`: how many at once, which some programs cannot serve.
    """

    name: str
    run: Callable[[Bench], Values]
    rates: tuple[str, ...]
    streams: int = 1
    direct_too: bool = True
    is_slow: bool = False
    box: Box | None = None

    @property
    def every(self) -> int:
        """In which rounds: what takes long is measured in every other one."""
        return 2 if self.box or self.is_slow else 1


def bulk(bench: Bench, way: str) -> Values:
    """One stream as fast as it goes; processor time where no box shares the figure."""
    result, spent = bench.run(f"bulk-{way}", "source" if way == "down" else "sink")
    values = {bench.key(f"bulk-{way}"): result["bytes_per_second"] / MEGA}
    if bench.program and not bench.box and result["bytes"]:
        values[f"cpu-{way}"] = spent / (result["bytes"] / GIGA)
    return values


def ping_pong(bench: Bench, streams: int) -> Values:
    """One 64-byte message under way in each stream."""
    result, _ = bench.run("pingpong", "echo", streams)
    name = bench.key(f"pingpong-{streams}")
    percentiles = {f"{name}-{p}": result[f"{p}_us"] for p in ("p50", "p90", "p99", "p999")}
    return {name: result["per_second"], **percentiles}


def connects(bench: Bench) -> Values:
    """New streams: opened, one byte echoed, closed."""
    result, _ = bench.run("connects", "echo", CONNECTS_AT_ONCE)
    if result["failures"]:
        raise BenchError(f"{result['failures']} of {result['exchanges']} streams failed")
    return {"connects": float(result["per_second"])}


def idle(bench: Bench) -> Values:
    """Memory that each end grew by, a stream, while 1,000 are open and say nothing."""
    assert bench.program is not None
    load = replace(bench.effort.load("idle", "echo", 1, None), entry=bench.program.entry)
    # Ends of its own: what a download left free would be taken for nothing.
    with running_pair(bench.program, destination(bench.origin, "echo")) as pair:
        address = pair.client.address
        bench.origin.run(load, address)
        before = _settled_memory(pair)
        with bench.origin.held(replace(load, tunnels=IDLE_STREAMS), address):
            after = _settled_memory(pair)
    grown = (max(now - then, 0) for then, now in zip(before, after, strict=True))
    client, server = (size / IDLE_STREAMS / KIBI for size in grown)
    return {"memory-client": client, "memory-server": server}


def _settled_memory(pair: Pair) -> tuple[int, int]:
    time.sleep(SETTLE)
    return pair.client.memory(), pair.server.memory()
