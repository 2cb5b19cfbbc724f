"""ssh to a private server, through the proxy by each of the usual helpers."""

from __future__ import annotations

import getpass
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.origins import pattern
from tests.real.processes import ProxyProcess, free_port, serving

pytestmark = pytest.mark.real

SIZE = 2_000_000

SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/user_key.pub
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
LogLevel VERBOSE
"""


@dataclass(frozen=True)
class SshServer:
    """A running sshd and the files that a client needs for it."""

    port: int
    folder: Path


@pytest.fixture
def ssh_server(program: Callable[[str], Path], tmp_path: Path) -> Iterator[SshServer]:
    """sshd with its own keys, for the present user only."""
    sshd, keygen = program("sshd"), program("ssh-keygen")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host_key", "user_key"):
        command: list[str | Path] = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(command, check=True, timeout=10)
    if os.geteuid() == 0:
        # Debian's sshd, started by root, separates its privileges there.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(SERVER.format(port=port, folder=folder))
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    with serving([sshd, "-D", "-e", "-f", config], folder / "sshd.log", port):
        yield SshServer(port, folder)


# %h and %p are ssh's own names of host and port.
HELPERS = {
    "nc": "{path} -X connect -x {proxy} %h %p",
    "proxytunnel": "{path} -q -p {proxy} -d %h:%p",
    "corkscrew": "{path} {host} {port} %h %p",
}


@pytest.mark.parametrize("helper", HELPERS)
def test_ssh_is_carried_by_helper(
    program: Callable[[str], Path], ssh_server: SshServer, proxy: ProxyProcess, helper: str
) -> None:
    command = HELPERS[helper].format(
        path=program(helper), proxy=proxy.name, host="127.0.0.1", port=proxy.port
    )
    folder = ssh_server.folder
    options = {
        "ProxyCommand": command,
        "UserKnownHostsFile": folder / "known_hosts",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
    }
    done = subprocess.run(
        [
            *(program("ssh"), "-F", "none", "-i", folder / "user_key"),
            *(f"-o{name}={value}" for name, value in options.items()),
            *("-p", str(ssh_server.port), f"{getpass.getuser()}@127.0.0.1", "sha256sum"),
        ],
        input=b"".join(pattern(SIZE)),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = hashlib.sha256(b"".join(pattern(SIZE))).hexdigest()
    assert done.stdout.split()[0].decode() == expected
    assert f"CONNECT 127.0.0.1:{ssh_server.port} 200" in proxy.wait_for_line("CONNECT")
