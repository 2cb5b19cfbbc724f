"""Cutting the line under a transfer, and when bytes came again."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from bench.processes import BenchError
from bench.wan.load import BROKEN, Load
from bench.wan.plan import CUT_EVERY, DROP_SECONDS
from bench.wan.stage import SPARE_SECONDS, Stage

# The transfer is at speed by then.
FIRST_CUT = 3.0
# After the last cut a slow resume still counts.
AFTER = 5.0
# From the start of the process to its first byte.
START_SECONDS = 1.0


def resumed(arrivals: Sequence[float], since: float, until: float) -> float | None:
    """Seconds from `since` to the end of the longest silence that touches it and `until`.

    None where nothing came any more.
    """
    gaps = [
        (min(after, until) - max(before, since), after)
        for before, after in pairwise([*arrivals, float("inf")])
        if after > since and before < until
    ]
    if not gaps:
        return None
    after = max(gaps)[1]
    return after - since if after != float("inf") else None


def cut(stage: Stage, load: Load) -> dict[str, float]:
    """Cut every `CUT_EVERY` seconds under a transfer: the share that broke, the slowest resume.

    Raises `BenchError`.
    """
    act: Callable[[], None] = (
        (lambda: stage.network.cut(DROP_SECONDS))
        if load.kind == "drop"
        else stage.network.reset_streams
    )
    silent = DROP_SECONDS if load.kind == "drop" else 0.0
    count = max(1, round(load.seconds / CUT_EVERY))
    whole = Load("cut", START_SECONDS + FIRST_CUT + CUT_EVERY * (count - 1) + AFTER, 0)
    ends = []
    with stage.running(whole) as process:
        time.sleep(START_SECONDS + FIRST_CUT)
        for number in range(count):
            if number:
                time.sleep(CUT_EVERY)
            act()
            ends.append(time.monotonic() + silent)
        try:
            said, complaint = process.communicate(timeout=whole.seconds + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{load.kind}: the traffic did not end") from None
    if process.returncode == BROKEN:
        return {"broken": 1.0}
    if process.returncode:
        last = complaint.strip().rpartition("\n")[2]
        raise BenchError(f"{load.kind}: {last[-300:]}")
    arrivals = json.loads(said)["arrivals"]
    found = [resumed(arrivals, end, end + CUT_EVERY - silent) for end in ends]
    times = [one for one in found if one is not None]
    broken = 1 - len(times) / len(found)
    return {"broken": broken, **({"resume": max(times) * 1000} if times else {})}
