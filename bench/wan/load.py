"""`Load`: traffic to make (bench/wan/traffic.py), and how that says what came of it."""

from __future__ import annotations

from dataclasses import dataclass

# Its exit code where a stream broke, or brought nothing: that tells of the program, not of us.
BROKEN = 3


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of traffic; times in seconds."""

    kind: str
    seconds: float = 3.0
    warmup: float = 1.0
    count: int = 1
