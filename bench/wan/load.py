"""`Load`: traffic to make (bench/wan/traffic.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of traffic; times in seconds."""

    kind: str
    seconds: float = 3.0
    warmup: float = 1.0
    count: int = 1
