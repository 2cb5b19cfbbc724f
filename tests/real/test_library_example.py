"""examples/library_proxy.py, run as its first lines say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.origins import HttpOrigin
from tests.real.conftest import Curl
from tests.real.processes import running, wait_until

pytestmark = [pytest.mark.real, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "library_proxy.py"


class RunningExample:
    """The example, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def wait_for(self, pattern: str) -> str:
        """Wait until `pattern` is printed; its first group, or all of it."""

        def found() -> re.Match[str] | None:
            return re.search(pattern, self._log.read_text())

        wait_until(lambda: found() is not None, pattern)
        match = found()
        assert match is not None
        return match[match.re.groups]


@pytest.fixture
def example(tmp_path: Path, plain: HttpOrigin) -> Iterator[RunningExample]:
    """The example, with the plain origin opened."""
    log = tmp_path / "example.log"
    command = [sys.executable, str(EXAMPLE), plain.name]
    with running(command, log) as process:
        yield RunningExample(process, log)


def test_example_serves_alice_and_ends_in_order(
    example: RunningExample, curl: Curl, plain: HttpOrigin, secure: HttpOrigin
) -> None:
    url = example.wait_for(r"listening (http://127\.0\.0\.1:[0-9]+)\n")
    login = f"alice:{example.wait_for('user alice, password (.+)')}"

    allowed = curl("-x", url, "-U", login, f"{plain.url}/bytes/5000")
    assert len(allowed.output) == 5000
    example.wait_for(rf"alice GET {plain.name} 200 ok\n")

    stranger = curl("-i", "-x", url, "-U", "alice:wrong", f"{plain.url}/echo")
    assert stranger.text.startswith("HTTP/1.1 407")

    denied = curl("-i", "-x", url, "-U", login, f"http://{secure.name}/echo")
    assert "error=destination_ip_prohibited" in denied.text
    assert secure.connections == 0

    example.process.terminate()
    assert example.process.wait(10) == 0
    example.wait_for(r"ended; 2 refused\n")
