"""OpenSSH: `ssh -D` to an sshd with keys of its own, for the present user only."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import Entry
from bench.processes import Running
from bench.programs.launch import Launch, new_address, run, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import first_match, system_program

SERVER_ALIAS = "bench"
CONFIG = """\
ListenAddress {address}
HostKey {keys}/host
PidFile none
AuthorizedKeysFile {keys}/user.pub
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class Openssh:
    """`ssh -D`: SOCKS5 at the client, all streams in one SSH session."""

    name: str = "ssh -D"
    remark: str = "C, one process an end; SSH's own encryption, not HTTP at all"
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        if first_match([system_program("sshd"), "-V"], r"(OpenSSH)", any_exit=True) is None:
            return None
        return first_match([system_program("ssh"), "-V"], r"OpenSSH_(\S+?),? ")

    def start_server(self, place: Place, origin: str) -> Running:
        keys, folder = _keys(place), place.folder("server")
        if os.geteuid() == 0:
            # Debian's sshd, started by root, separates its privileges there.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        address = new_address(place.server_host)
        config = folder / "sshd_config"
        config.write_text(CONFIG.format(address=address, keys=keys))
        command = [system_program("sshd"), "-D", "-e", "-f", str(config)]
        return Launch(self.name, folder, command, place.server_prefix).start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        keys, folder = _keys(place), place.folder("client")
        host, port = split(server)
        address = new_address("127.0.0.1")
        options = {
            "UserKnownHostsFile": str(keys / "known_hosts"),
            "HostKeyAlias": SERVER_ALIAS,
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "ExitOnForwardFailure": "yes",
            "LogLevel": "ERROR",
        }
        # fmt: off
        command = [
            system_program("ssh"), "-F", "none", "-N", "-D", address, "-i", str(keys / "user"),
            *(f"-o{name}={value}" for name, value in options.items()),
            "-p", str(port), f"{getpass.getuser()}@{host}",
        ]
        # fmt: on
        return Launch(self.name, folder, command, place.client_prefix).start_listening(address)


def _keys(place: Place) -> Path:
    """The folder of both key pairs, made at the first call."""
    folder = place.directory / "keys"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        for name in ("host", "user"):
            keygen = [system_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f"]
            run([*keygen, str(folder / name)], folder)
        host = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"{SERVER_ALIAS} {host}")
    return folder
