"""chisel: all streams in one SSH session in one WebSocket.

Written from its manual. It could not be installed where the figures of docs/performance.md were
taken; a chisel in the PATH is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.launch import Launch, new_address, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match


@dataclass(frozen=True, slots=True)
class Chisel:
    """`chisel server --socks5`."""

    name: str = "chisel"
    remark: str = "Go, all streams in one WebSocket; its own encryption (SSH)"
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        return first_match([built_program("chisel"), "--version"], r"v?(\d+\.\d\S*)")

    def start_server(self, place: Place, origin: str) -> Running:
        address = new_address(place.server_host)
        host, port = split(address)
        command = [built_program("chisel"), "server", "--host", host, "--port", str(port)]
        launch = Launch(
            self.name, place.folder("server"), [*command, "--socks5"], place.server_prefix
        )
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        command = [built_program("chisel"), "client", f"http://{server}", f"{address}:socks"]
        launch = Launch(self.name, place.folder("client"), command, place.client_prefix)
        return launch.start_listening(address)
