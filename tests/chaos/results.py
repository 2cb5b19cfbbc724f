"""Writes down what a campaign found, with what it was and when."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "bench" / "results"


def now() -> datetime.datetime:
    """When a campaign starts or ends."""
    return datetime.datetime.now(datetime.UTC)


def write(name: str, started: datetime.datetime, found: Mapping[str, object]) -> None:
    """Write bench/results/`name`.json."""
    head = {
        "date": started.isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "seconds": round((now() - started).total_seconds()),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(head | dict(found), indent=1) + "\n")
