"""ssh to a private server, through the proxy by each of the usual helpers."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.origins import pattern
from tests.real.processes import ProxyProcess
from tests.real.ssh_server import SshServer, ssh_server

pytestmark = [pytest.mark.real, pytest.mark.slow]

SIZE = 2_000_000


@pytest.fixture
def server(program: Callable[[str], Path], tmp_path: Path) -> Iterator[SshServer]:
    """A running sshd."""
    with ssh_server(program, tmp_path / "ssh") as running:
        yield running


# %h and %p are ssh's own names of host and port.
HELPERS = {
    "nc": "{path} -X connect -x {proxy} %h %p",
    "proxytunnel": "{path} -q -p {proxy} -d %h:%p",
    "corkscrew": "{path} {host} {port} %h %p",
}


@pytest.mark.parametrize("helper", HELPERS)
def test_ssh_is_carried_by_helper(
    program: Callable[[str], Path], server: SshServer, proxy: ProxyProcess, helper: str
) -> None:
    command = HELPERS[helper].format(
        path=program(helper), proxy=proxy.name, host="127.0.0.1", port=proxy.port
    )
    done = subprocess.run(
        [program("ssh"), *server.options(ProxyCommand=command), server.login, "sha256sum"],
        input=b"".join(pattern(SIZE)),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = hashlib.sha256(b"".join(pattern(SIZE))).hexdigest()
    assert done.stdout.split()[0].decode() == expected
    assert f"CONNECT 127.0.0.1:{server.port} 200" in proxy.wait_for_line("CONNECT")
