"""The example of the library's tunnel (examples/library_tunnel.py), run as a program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.origins import HttpOrigin
from tests.real.processes import clean_environment
from tests.real.tunnel import tunnel_in

pytestmark = [pytest.mark.real, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "library_tunnel.py"


def run_example(url: str, invite: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, EXAMPLE, url],
        input=invite,
        capture_output=True,
        env=clean_environment(XDG_STATE_HOME=str(folder / "state")),
        timeout=30,
        check=False,
    )


def test_the_example_reaches_it_in_three_ways(tmp_path: Path, plain: HttpOrigin) -> None:
    with tunnel_in(tmp_path) as tunnel:
        done = run_example(f"{plain.url}/bytes/10", tunnel.invite().read_bytes(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [
        "up: websocket, direct",
        "stream: HTTP/1.1 200 Answer",
        "reader: HTTP/1.1 200 Answer",
        "httpx: 200",
    ]


def test_the_example_says_what_is_wrong_with_an_invite(tmp_path: Path) -> None:
    done = run_example("http://127.0.0.1/", b"nonsense", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"no tunnel: invite: not an invite")
