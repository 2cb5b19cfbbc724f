"""Many seeds over all processors: progress, what failed, and a page of figures at the end."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.simulation import Outcome, simulate

RESULTS = Path(__file__).parents[2] / "bench" / "results"
# Seconds between two lines of progress.
PROGRESS = 10.0
# Seeds that a process takes at once.
CHUNK = 5


@dataclass(slots=True)
class Figures:
    """What a campaign was; seconds of this machine and hours of the simulated worlds."""

    commit: str
    seeds: int = 0
    first_seed: int = 0
    passed: int = 0
    failed: list[int] = field(default_factory=list)
    simulated_hours: float = 0.0
    real_seconds: float = 0.0
    processes: int = 0
    streams: int = 0
    stream_bytes: int = 0
    records: int = 0
    records_sent_again: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one simulation."""
        self.seeds += 1
        if outcome.failure:
            self.failed.append(outcome.seed)
        else:
            self.passed += 1
        self.simulated_hours += outcome.seconds / 3600
        self.streams += outcome.streams
        self.stream_bytes += outcome.bytes
        self.records += outcome.records
        self.records_sent_again += outcome.repeated
        self.faults.update(outcome.faults)

    @property
    def compression(self) -> float:
        """Simulated seconds in a real one."""
        return self.simulated_hours * 3600 / self.real_seconds if self.real_seconds else 0.0

    def line(self) -> str:
        """All of it for a person."""
        return (
            f"{self.passed:,} passed, {len(self.failed):,} failed:"
            f" {self.seeds:,} seeds from {self.first_seed:,},"
            f" {self.simulated_hours:,.0f} simulated hours in"
            f" {self.real_seconds:,.0f} s on {self.processes} processors"
            f" ({self.compression:,.0f} times as fast), {self.streams:,} streams,"
            f" {self.stream_bytes / 1e9:.2f} GB, {self.records:,} records"
            f" ({self.records_sent_again:,} of them again),"
            f" {sum(self.faults.values()):,} faults, commit {self.commit}"
        )


def run(seeds: range, seconds: float) -> Figures:
    """Run simulations until all `seeds` are done or so many real seconds are over."""
    began = time.monotonic()
    processes = os.cpu_count() or 1
    figures = Figures(_commit(), first_seed=seeds.start, processes=processes)
    with get_context("forkserver").Pool(processes) as pool:
        outcomes = pool.imap_unordered(simulate, seeds, chunksize=CHUNK)
        for outcome in _told(outcomes, len(seeds), began):
            figures.add(outcome)
            if time.monotonic() - began > seconds:
                print(f"the time is over: {seconds:.0f} s", flush=True)
                break
    figures.real_seconds = time.monotonic() - began
    return figures


def _told(outcomes: Iterable[Outcome], count: int, began: float) -> Iterator[Outcome]:
    """The outcomes, with a line of progress now and then, and each failure at once."""
    told = began
    for done, outcome in enumerate(outcomes, 1):
        if outcome.failure:
            print(f"seed {outcome.seed}: {outcome.failure}", flush=True)
            print(f"    .venv/bin/python -m tests.simulation.run --seed {outcome.seed} --trace")
        now = time.monotonic()
        if now - told > PROGRESS:
            told = now
            left = (now - began) / done * (count - done)
            print(f"{done:,} of {count:,} seeds, {left:.0f} s to go", flush=True)
        yield outcome


def write(figures: Figures, folder: Path = RESULTS) -> None:
    """Write the figures for programs and for people."""
    told = asdict(figures)
    told["faults"] = dict(figures.faults.most_common())
    told["time_compression"] = round(figures.compression)
    told["simulated_hours"] = round(figures.simulated_hours, 1)
    told["real_seconds"] = round(figures.real_seconds, 1)
    (folder / "simulation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (folder / "simulation.txt").write_text(figures.line() + "\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
