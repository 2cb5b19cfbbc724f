"""gost: its relay over WebSocket inside TLS, one each stream or many in one, and over PHT.

Written from its manual. It could not be installed where the figures of docs/performance.md were
taken; a gost in the PATH is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.generator import Entry
from bench.processes import Running
from bench.programs.certificate import SERVER_NAME, certificate_in
from bench.programs.launch import Launch, new_address
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match


@dataclass(frozen=True, slots=True)
class Gost:
    """One way to run gost; `over` is `wss`, `mwss` or `pht`."""

    name: str
    remark: str
    over: str
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        return first_match([built_program("gost"), "-V"], r"v?(\d+\.\d\S*)")

    def start_server(self, place: Place, origin: str) -> Running:
        address = new_address(place.server_host)
        options = ""
        if self.over != "pht":
            files = certificate_in(place.directory, place.server_host)
            options = f"?certFile={files.chain}&keyFile={files.key}"
        command = [built_program("gost"), "-L", f"relay+{self.over}://{address}{options}"]
        launch = Launch(self.name, place.folder("server"), command, place.server_prefix)
        return launch.start_listening(address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        options = ""
        if self.over != "pht":
            authority = certificate_in(place.directory, place.server_host).authority
            options = f"?secure=true&serverName={SERVER_NAME}&caFile={authority}"
        # fmt: off
        command = [
            built_program("gost"), "-L", f"socks5://{address}",
            "-F", f"relay+{self.over}://{server}{options}",
        ]
        # fmt: on
        launch = Launch(self.name, place.folder("client"), command, place.client_prefix)
        return launch.start_listening(address)
