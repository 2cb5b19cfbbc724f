"""sshd with keys of its own, for the present user only."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real.processes import free_port, serving

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

    @property
    def login(self) -> str:
        """Who may come in, and where."""
        return f"{getpass.getuser()}@127.0.0.1"

    def options(self, **more: str) -> list[str]:
        """ssh's options to go there with this server's keys alone."""
        options = {
            "UserKnownHostsFile": self.folder / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            **more,
        }
        key = str(self.folder / "user_key")
        settings = (f"-o{name}={value}" for name, value in options.items())
        return ["-F", "none", "-i", key, *settings, "-p", str(self.port)]


@contextlib.contextmanager
def ssh_server(program: Callable[[str], Path], folder: Path) -> Iterator[SshServer]:
    """Run sshd with its files below `folder`."""
    sshd, keygen = program("sshd"), program("ssh-keygen")
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
