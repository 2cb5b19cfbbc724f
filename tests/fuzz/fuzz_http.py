"""The fuzzer: ``python -m tests.fuzz.fuzz_http --seconds 60`` (``make fuzz``).

Each input is a function of the seed, the target with its corpus, and the number of the batch, so a
failure is had again by ``--seed``. An input that fails is kept in ``tests/fuzz/corpus/TARGET/``,
where `test_corpus.py` replays it on every run.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.messages import MESSAGES
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.fuzz.texts import TEXTS
from tests.fuzz.whole import WHOLE

TARGETS = {target.name: target for target in (*MESSAGES, *WHOLE, *TEXTS)}
CORPUS = Path(__file__).parent / "corpus"

# Of one target before the next has its turn: long enough that the clock costs nothing.
BATCH = 100
# Of one target that are told in full; one mistake is often found a thousand times.
TOLD = 3
PROGRESS_SECONDS = 5.0


def kept(target: Target) -> list[bytes]:
    """The inputs that once failed, and others worth keeping."""
    folder = CORPUS / target.name
    return [path.read_bytes() for path in sorted(folder.glob("*"))] if folder.is_dir() else []


def keep(target: Target, data: bytes) -> Path:
    """Keep an input for every run to come."""
    path = CORPUS / target.name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def attempt(target: Target, data: bytes, rng: random.Random) -> BaseException | None:
    """Run one input; return what it raised, None where all is well."""
    try:
        target.run(data, rng)
    except Exception as error:  # noqa: BLE001 - to see every one is what a fuzzer is for
        return error
    return None


class Campaign:
    """Runs targets in turn and counts."""

    def __init__(self, targets: list[Target], seed: int) -> None:
        self.seed = seed
        self.passed = 0
        self.failed: Counter[str] = Counter()
        self._seeds = {target: (*target.seeds, *kept(target)) for target in targets}
        self._batches = self._in_turn(targets)

    def _in_turn(self, targets: list[Target]) -> Iterator[tuple[Target, int]]:
        number = 0
        while True:
            for target in targets:
                yield target, number
            number += 1

    def batch(self) -> None:
        """Run the next batch."""
        target, number = next(self._batches)
        rng = random.Random(f"{self.seed} {target.name} {number}")
        for _ in range(BATCH):
            data = mutated(rng, self._seeds[target])
            error = attempt(target, data, rng)
            if error is None:
                self.passed += 1
            else:
                self._tell(target, data, error)

    def _tell(self, target: Target, data: bytes, error: BaseException) -> None:
        self.failed[target.name] += 1
        if self.failed[target.name] > TOLD:
            return
        print(f"\n{target.name} failed, seed {self.seed}, input kept as {keep(target, data)}:")
        print(f"{data!r}")
        traceback.print_exception(error)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed.total()} failed"


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for a time; return 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz_http")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32))
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    options = parser.parse_args(arguments)
    campaign = Campaign([TARGETS[name] for name in options.target or TARGETS], options.seed)
    print(f"seed {options.seed}, {options.seconds:g} s, targets: {', '.join(TARGETS)}")
    started = told = time.monotonic()
    campaign.batch()
    while (now := time.monotonic()) - started < options.seconds:
        if now - told >= PROGRESS_SECONDS:
            print(f"{now - started:7.1f} s  {campaign}", flush=True)
            told = now
        campaign.batch()
    print(f"seed {options.seed}: {campaign}")
    return 1 if campaign.failed else 0


if __name__ == "__main__":
    sys.exit(main())
