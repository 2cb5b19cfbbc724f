"""PyPI's http-tunnel: requests of one method, to where its client was told."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.launch import Launch, new_address, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import PEERS_PYTHON, package_version

PROGRAM = str(PEERS_PYTHON.parent / "http-tunnel")
# Beyond its ten: a thousand idle streams are one of the measurements.
SESSIONS = "2000"


@dataclass(frozen=True, slots=True)
class PypiHttpTunnel:
    """`http-tunnel` with POST for what goes up."""

    name: str = "http-tunnel"
    remark: str = "Python, a process a stream at the client; AES-256-CBC, not authenticated"
    entry: Entry = field(default="forward", init=False)

    def version(self) -> str | None:
        return package_version(PEERS_PYTHON, "http-tunnel")

    def start_server(self, place: Place, origin: str) -> Running:
        address = new_address(place.server_host)
        host, port = split(address)
        command = [PROGRAM, "-s", "-h", host, "-p", str(port), "-m", SESSIONS]
        launch = Launch(self.name, place.folder("server"), command, place.server_prefix)
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        host, port = split(address)
        # fmt: off
        command = [
            PROGRAM, "-c", "-h", host, "-p", str(port), "-r", f"http://{server}",
            "-d", origin, "--method", "POST",
        ]
        # fmt: on
        launch = Launch(self.name, place.folder("client"), command, place.client_prefix)
        return launch.start_listening(address)
