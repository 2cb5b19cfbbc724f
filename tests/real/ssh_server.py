"""sshd with keys of its own, for the present user only."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.demo_ssh import make_sshd_files

from tests.real.processes import free_port, serving


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
    port = free_port()
    config = make_sshd_files(folder, port, keygen)
    with serving([sshd, "-D", "-e", "-f", config], folder / "sshd.log", port):
        yield SshServer(port, folder)
