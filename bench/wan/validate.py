"""Measure the emulator against what was set, and write bench/results/wan-validation.json.

    python -m bench.wan.validate [--no-write]

A line for each: what was set, what numbered UDP packets saw of it, how far off it may be. Ends with
1 where one is further off, or where no network can be made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.page import RESULTS
from bench.processes import BenchError, end_in_order
from bench.report import machine
from bench.wan.line import FULL_PACKET, Way
from bench.wan.namespaces import (
    CLIENT_ADDRESS,
    SERVER_ADDRESS,
    Network,
    network,
    run_in,
    sweep,
    unavailable,
)
from bench.wan.packets import Arrivals
from bench.wan.stage import ROOT

SEED = 7
# What may still be on the way once all has been sent.
AFTER_SECONDS = 0.6
SEND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Packets to send: how many, seconds between, bytes each."""

    count: int
    gap: float
    size: int = 100


@dataclass(frozen=True, slots=True)
class Case:
    """One property of the line: `measure` gives it in `unit`, `wanted` within `tolerance`."""

    name: str
    way: Way
    probe: Probe
    measure: Callable[[Arrivals], float]
    wanted: float
    tolerance: float
    unit: str
    is_up: bool = True


def _loss(name: str, way: Way, percent: float, *, is_up: bool) -> Case:
    count = 20_000
    # Three standard deviations of a binomial, three times that where losses come in bursts.
    share = percent / 100
    deviation = 300 * (share * (1 - share) / count) ** 0.5 * (3 if way.burst_loss else 1)
    probe = Probe(count, 0.0002)
    return Case(name, way, probe, Arrivals.loss_percent, percent, deviation, "%", is_up)


FAST = Probe(20_000, FULL_PACKET * 8 / 260e6, FULL_PACKET)
SLOW = Probe(5_000, FULL_PACKET * 8 / 30e6, FULL_PACKET)
STEADY = Probe(200, 0.005)
SPACED = Probe(160, 0.025)
CASES: tuple[Case, ...] = (
    *(
        Case(
            f"delay, {delay} ms {'up' if is_up else 'down'}",
            Way(delay_ms=delay),
            STEADY,
            Arrivals.median_delay,
            delay,
            1.5,
            "ms",
            is_up,
        )
        for delay, is_up in ((10, True), (40, False), (100, True))
    ),
    Case(
        "jitter of 20 ms, median",
        Way(delay_ms=20, jitter_ms=20),
        SPACED,
        Arrivals.median_delay,
        30,
        4,
        "ms",
    ),
    Case(
        "jitter of 20 ms, 95 of 100",
        Way(delay_ms=20, jitter_ms=20),
        SPACED,
        lambda arrivals: arrivals.delay_at(0.95),
        39,
        3,
        "ms",
    ),
    Case(
        "rate, 20 Mbit/s",
        Way(rate_bps=20e6, queue_bytes=100_000),
        SLOW,
        lambda arrivals: arrivals.mbit(FULL_PACKET),
        20,
        0.4,
        "Mbit/s",
    ),
    Case(
        "rate, 200 Mbit/s",
        Way(rate_bps=200e6, queue_bytes=1_000_000),
        FAST,
        lambda arrivals: arrivals.mbit(FULL_PACKET),
        200,
        6,
        "Mbit/s",
        False,
    ),
    Case(
        "queue of 100 kB at 20 Mbit/s, full",
        Way(rate_bps=20e6, queue_bytes=100_000),
        SLOW,
        Arrivals.median_delay,
        40,
        2,
        "ms",
    ),
    _loss("loss, 0.5%", Way(loss=0.005), 0.5, is_up=True),
    _loss("loss, 2%", Way(loss=0.02), 2, is_up=False),
    _loss("loss in bursts, 1%", Way(burst_loss=0.01, burst_length=5), 1, is_up=True),
    Case(
        "length of bursts of 5",
        Way(burst_loss=0.01, burst_length=5),
        Probe(20_000, 0.0002),
        Arrivals.burst_length,
        5,
        1.5,
        "packets",
        False,
    ),
    Case(
        "reordering, 5% by 10 ms",
        Way(delay_ms=5, reorder=0.05, reorder_ms=10),
        Probe(4_000, 0.001),
        Arrivals.overtaken_percent,
        5,
        1.2,
        "%",
    ),
)


def probed(made: Network, probe: Probe, *, is_up: bool) -> Arrivals:
    """Send packets one way and see what arrives. Raises `BenchError`."""
    ends = (made.client_prefix, made.server_prefix)
    sender, receiver = ends if is_up else ends[::-1]
    address = SERVER_ADDRESS if is_up else CLIENT_ADDRESS
    program = [sys.executable, "-m", "bench.wan.prober"]
    with subprocess.Popen(
        [*receiver, *program, "receive", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline().strip() != "ready":
                raise BenchError("the prober did not start")
            words = [str(probe.count), str(probe.gap), str(probe.size)]
            run_in(sender, [*program, "send", address, *words], SEND_SECONDS)
            time.sleep(AFTER_SECONDS)
            said, _ = process.communicate(timeout=SEND_SECONDS)
        finally:
            process.kill()
    return Arrivals(json.loads(said), probe.count)


def measured(case: Case) -> float:
    """What the packets saw. Raises `BenchError`."""
    plain = Way()
    up, down = (case.way, plain) if case.is_up else (plain, case.way)
    with network(up, down, SEED) as made:
        arrivals = probed(made, case.probe, is_up=case.is_up)
    return case.measure(arrivals)


def lost_numbers(seed: int) -> list[int]:
    """Which packets a seed loses."""
    way = Way(loss=0.02, burst_loss=0.01, burst_length=4)
    with network(way, Way(), seed) as made:
        return probed(made, Probe(3_000, 0.0003), is_up=True).lost()


def validate(cases: Sequence[Case] = CASES) -> list[dict[str, Any]]:
    """Measure every case and say so; a row each."""
    rows = []
    for case in cases:
        found = measured(case)
        is_right = abs(found - case.wanted) <= case.tolerance
        row = {
            "name": case.name,
            "set": case.wanted,
            "measured": round(found, 3),
            "tolerance": round(case.tolerance, 3),
            "unit": case.unit,
            "right": is_right,
            "way": {key: value for key, value in asdict(case.way).items() if value},
        }
        rows.append(row)
        mark = "" if is_right else "  WRONG"
        text = f"{case.name:<36} set {case.wanted:>7.4g}   measured {found:>8.3f} {case.unit}"
        print(f"{text} (within {case.tolerance:.3g}){mark}", flush=True)
    return rows


def main(arguments: list[str]) -> int:
    """Validate all of it."""
    if reason := unavailable():
        print(f"no WAN can be made here: {reason}", file=sys.stderr)
        return 1
    sweep()
    end_in_order()
    rows = validate()
    again = lost_numbers(SEED) == lost_numbers(SEED) != lost_numbers(SEED + 1)
    print(f"the same seed loses the same packets, another others: {'yes' if again else 'NO'}")
    if "--no-write" not in arguments:
        results = {
            "finished": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine(),
            "same_seed_same_losses": again,
            "rows": rows,
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "wan-validation.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if again and all(row["right"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
