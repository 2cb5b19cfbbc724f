"""Writes down what a campaign found, with what it was and when."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "bench" / "results"
KERNEL = Path("/proc/net/netstat")


def now() -> datetime.datetime:
    """When a campaign starts or ends."""
    return datetime.datetime.now(datetime.UTC)


def aborted_on_memory(said: Path = KERNEL) -> int:
    """How many streams of TCP the kernel has reset for want of memory; 0 where it does not say.

    It does so to whatever is closed with bytes under way while all of TCP holds too much, as beside
    a test of many thousand streams: nothing of ours resets that one.
    """
    try:
        lines = [line.split() for line in said.read_text().splitlines()]
    except OSError:
        return 0
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        if "TCPAbortOnMemory" in names:
            return int(numbers[names.index("TCPAbortOnMemory")])
    return 0


def write(name: str, started: datetime.datetime, found: Mapping[str, object]) -> None:
    """Write bench/results/`name`.json."""
    head = {
        "date": started.isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "seconds": round((now() - started).total_seconds()),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(head | dict(found), indent=1) + "\n")
