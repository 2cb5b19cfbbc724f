"""Commands that run to their end, and what there is to see of processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.real.processes import clean_environment, underpass

SECONDS = 20


def run(*arguments: str | Path, stdin: str = "", **environment: str) -> tuple[int, str, str]:
    """Run ``underpass …`` to its end: the exit code and both outputs."""
    done = subprocess.run(
        underpass(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=clean_environment(**environment),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def children(process: int) -> list[int]:
    """The processes that `process` has started."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in found.split()]
