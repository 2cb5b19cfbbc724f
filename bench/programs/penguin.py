"""penguin (crate rusty-penguin): all streams in one WebSocket inside TLS, as chisel has them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.certificate import SERVER_NAME, certificate_in
from bench.programs.launch import Launch, new_address, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match


@dataclass(frozen=True, slots=True)
class Penguin:
    """`penguin`, its SOCKS5 entry."""

    name: str = "penguin"
    remark: str = "Rust, all streams in one WebSocket; TLS"
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        return first_match([built_program("penguin"), "--version"], r"penguin (\S+)")

    def start_server(self, place: Place, origin: str) -> Running:
        files = certificate_in(place.directory, place.server_host)
        address = new_address(place.server_host)
        host, port = split(address)
        # fmt: off
        command = [
            built_program("penguin"), "server", "-q", "--host", host, "--port", str(port),
            "--tls-cert", str(files.chain), "--tls-key", str(files.key),
        ]
        # fmt: on
        launch = Launch(self.name, place.folder("server"), command, place.server_prefix)
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        files = certificate_in(place.directory, place.server_host)
        address = new_address("127.0.0.1")
        # fmt: off
        command = [
            built_program("penguin"), "client", "-q", "--tls-ca", str(files.authority),
            "--tls-server-name", SERVER_NAME, f"wss://{server}/ws", f"{address}:socks",
        ]
        # fmt: on
        launch = Launch(self.name, place.folder("client"), command, place.client_prefix)
        return launch.start_listening(address)
