"""underpass: `server` and `client` as a user runs them, one kind of carrier a row."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.generator import Entry
from bench.processes import Running
from bench.programs.launch import Launch, run
from bench.programs.tunnel_program import Place
from bench.programs.versions import package_version

ENCRYPTION = "its own encryption end to end (Noise IK, AES-256-GCM)"
STATE = "server-state"


@dataclass(frozen=True, slots=True)
class Underpass:
    """One row of ours. `carrier`: which kind; `tls`: the server speaks TLS around it as well.

    `note` says in other words which carrier it is.
    """

    name: str
    carrier: str
    tls: bool = False
    client_flags: tuple[str, ...] = ()
    server_flags: tuple[str, ...] = ()
    note: str = ""
    entry: Entry = field(default="socks5", init=False)

    @property
    def remark(self) -> str:
        around = ", inside TLS" if self.tls else ""
        return f"Python on uvloop, {self.note or f'carrier {self.carrier}'}; {ENCRYPTION}{around}"

    def version(self) -> str | None:
        here = Path(_command()).exists()
        return package_version(Path(sys.executable), "underpass") if here else None

    def start_server(self, place: Place, origin: str) -> Running:
        folder = place.folder("server")
        # fmt: off
        command = [
            _command(), "server", "--listen", f"{place.server_host}:0",
            "--state", str(place.directory / STATE), "--allow", "127.0.0.0/8",
            *(["--tls-self"] if self.tls else []), *self.server_flags,
        ]
        # fmt: on
        launch = Launch(self.name, folder, command, place.server_prefix)
        return launch.start_saying(r"listening https?://(\S+:\d+)")

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        folder = place.folder("client")
        scheme = "https" if self.tls else "http"
        where = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
        # fmt: off
        invite = run(
            [_command(), "invite", folder.name, "--url", f"{scheme}://{server}",
             "--state", str(place.directory / STATE)],
            folder,
        )
        run([_command(), "join", "bench"], folder, invite, **where)
        command = [
            _command(), "client", "bench", "--socks", "127.0.0.1:0", "--via", "none",
            "--carrier", self.carrier, *self.client_flags,
        ]
        # fmt: on
        launch = Launch(self.name, folder, command, place.client_prefix, where)
        return launch.start_saying(r"listening socks5://(\S+:\d+)", also="tunnel up: ")


def _command() -> str:
    return str(Path(sys.executable).parent / "underpass")
