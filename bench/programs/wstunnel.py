"""wstunnel: one WebSocket inside TLS for each stream.

Written from its manual. It could not be installed where the figures of docs/performance.md were
taken; a wstunnel in the PATH is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.certificate import certificate_in
from bench.programs.launch import Launch, new_address
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match


@dataclass(frozen=True, slots=True)
class Wstunnel:
    """`wstunnel`, its SOCKS5 entry."""

    name: str = "wstunnel"
    remark: str = "Rust, one WebSocket for each stream; TLS, the certificate not checked"
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        return first_match([built_program("wstunnel"), "--version"], r"(\d+\.\d\S*)")

    def start_server(self, place: Place, origin: str) -> Running:
        files = certificate_in(place.directory, place.server_host)
        address = new_address(place.server_host)
        # fmt: off
        command = [
            built_program("wstunnel"), "server", f"wss://{address}",
            "--tls-certificate", str(files.chain), "--tls-private-key", str(files.key),
        ]
        # fmt: on
        launch = Launch(self.name, place.folder("server"), command, place.server_prefix)
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        command = [built_program("wstunnel"), "client", "-L", f"socks5://{address}"]
        launch = Launch(
            self.name, place.folder("client"), [*command, f"wss://{server}"], place.client_prefix
        )
        return launch.start_listening(address)
