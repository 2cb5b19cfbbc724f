"""A demo of `scripts`, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import scripts

from tests.real.processes import clean_environment

ROOT = Path(scripts.__file__).parents[1]


def run_demo(
    name: str, seconds: float, folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``scripts.NAME`` with `folder` for its temporary files."""
    return subprocess.run(
        [sys.executable, "-m", f"scripts.{name}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=clean_environment(TMPDIR=str(folder), **environment),
        text=True,
        timeout=seconds,
        check=False,
    )


def check_shown(name: str, seconds: float, folder: Path, texts: Iterable[str]) -> None:
    """It shows all of this, whatever the developer has set, and leaves nothing behind."""
    done = run_demo(
        name, seconds, folder, http_proxy="http://127.0.0.1:9", UNDERPASS_WORKERS="many"
    )
    assert (done.returncode, done.stderr) == (0, "")
    for text in texts:
        assert text in done.stdout
    assert list(folder.iterdir()) == []
