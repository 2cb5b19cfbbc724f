"""The demo (`make demo`), run as a new user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scripts import demo

from tests.real.processes import clean_environment

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(demo.__file__).parent.parent
DEMO_SECONDS = 90


def run_demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with `folder` for its temporary files."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=clean_environment(TMPDIR=str(folder), **environment),
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )


def test_demo_shows_all_and_leaves_nothing(program: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("curl", "git", "squid", "ssh", "sshd"):
        program(name)
    # What the developer has set must not get in the way.
    done = run_demo(tmp_path, http_proxy="http://127.0.0.1:9", UNDERPASS_WORKERS="many")
    assert (done.returncode, done.stderr) == (0, "")
    for text in (
        "a real squid is the only way out, and refuses CONNECT",
        "CONNECT tunnel failed, response 403",
        "without CONNECT",
        "50 MB in ",
        "through 2 deaths of the proxy",
        "README: Cloned through the tunnel.",
        "Hello from a shell on the other side",
        "All as it should be, in ",
    ):
        assert text in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_curl_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_demo(tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "curl is not installed" in done.stderr
