"""GNU httptunnel: one stream at a time, to where its server was told; no encryption."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.launch import Launch, new_address, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import first_match, system_program


@dataclass(frozen=True, slots=True)
class GnuHttptunnel:
    """htc and hts."""

    name: str = "httptunnel"
    remark: str = "C, POST up and GET down, one stream at a time; no encryption"
    entry: Entry = field(default="forward", init=False)

    def version(self) -> str | None:
        return first_match([system_program("hts"), "--version"], r"httptunnel\)? (\d\S*)")

    def start_server(self, place: Place, origin: str) -> Running:
        address = new_address(place.server_host)
        command = [system_program("hts"), "--no-daemon", "-F", origin, address]
        launch = Launch(self.name, place.folder("server"), command, place.server_prefix)
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        port = str(split(address)[1])
        command = [system_program("htc"), "--no-daemon", "-F", port, server]
        launch = Launch(self.name, place.folder("client"), command, place.client_prefix)
        return launch.start_listening(address)
