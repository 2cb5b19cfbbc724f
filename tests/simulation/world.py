"""The clock of a simulation: what happens next happens at once, and nothing else does."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable

# More than the longest of ten thousand seeds needs; beyond it the simulation runs in circles.
MAX_STEPS = 300_000
# Whether all is over is asked once in so many steps.
LOOK_STEPS = 32


class SimulationError(Exception):
    """A check did not hold."""


class World:
    """Time in seconds, one source of chance, and what is due when."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.faults: Counter[str] = Counter()
        # After this no new fault happens, and all must come to its end.
        self.is_calm = False
        # Whether new carriers can be made.
        self.is_up = True
        self.is_traced = trace is not None
        self._trace = trace
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Do `action` in `delay` seconds; what is due at the same time, in the order it came."""
        self._order += 1
        heapq.heappush(self._due, (self.now + max(0.0, delay), self._order, action))

    def run(self, is_over: Callable[[], bool], until: float) -> bool:
        """Let time pass until `is_over`, and return True, or until the time `until`."""
        while self.steps % LOOK_STEPS or not is_over():
            if not self._due or self._due[0][0] > until:
                if is_over():
                    break
                self.now = until
                return False
            self.now, _, action = heapq.heappop(self._due)
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise SimulationError(f"more than {MAX_STEPS:,} steps: something runs in circles")
            action()
        return True

    def note(self, text: str, mark: str = "*") -> None:
        """Write a line of the trace, if there is one: `> ` from the client, `< ` to it."""
        if self._trace is not None:
            self._trace(f"{self.now:10.4f} {mark} {text}")

    def fault(self, kind: str, text: str = "") -> None:
        """Count a fault, and say so."""
        self.faults[kind] += 1
        self.note(f"FAULT {kind} {text}")

    def log_uniform(self, low: float, high: float) -> float:
        """As often between 1 and 10 as between 10 and 100."""
        return float(low * (high / low) ** self.rng.random())
