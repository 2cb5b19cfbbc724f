"""The demo (`make demo`), run as a new user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.demos import check_shown, run_demo

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(120)]

DEMO_SECONDS = 90


def test_demo_shows_all_and_leaves_nothing(program: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("curl", "git", "squid", "ssh", "sshd"):
        program(name)
    shown = (
        "a real squid is the only way out, and refuses CONNECT",
        "CONNECT tunnel failed, response 403",
        "without CONNECT",
        "50 MB in ",
        "through 2 deaths of the proxy",
        "README: Cloned through the tunnel.",
        "Hello from a shell on the other side",
        "All as it should be, in ",
    )
    check_shown("demo", DEMO_SECONDS, tmp_path, shown)


def test_without_curl_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_demo("demo", DEMO_SECONDS, tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "curl is not installed" in done.stderr
