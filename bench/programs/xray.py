"""Xray: VLESS over WebSocket inside TLS, and over XHTTP, POSTs up and a long GET down."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.generator import Entry
from bench.processes import BenchError, Running
from bench.programs.certificate import SERVER_NAME, Certificate, certificate_in
from bench.programs.launch import Launch, new_address, run, split
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match

PATH = "/bench"
# Streams in one WebSocket at most, as Xray's documentation gives it.
MUX_STREAMS = 8


@dataclass(frozen=True, slots=True)
class Transport:
    """How VLESS travels: Xray's `streamSettings` of each end, and the keys of each end if any."""

    server: dict[str, Any]
    client: dict[str, Any]
    decryption: str = "none"
    encryption: str = "none"


def web_socket(certificate: Certificate) -> Transport:
    """WebSocket inside TLS, whose certificate the client checks."""
    socket = {"network": "ws", "security": "tls", "wsSettings": {"path": PATH}}
    own = {"certificateFile": str(certificate.chain), "keyFile": str(certificate.key)}
    trusted = {"usage": "verify", "certificateFile": str(certificate.authority)}
    return Transport(
        {**socket, "tlsSettings": {"certificates": [own]}},
        {
            **socket,
            "tlsSettings": {
                "serverName": SERVER_NAME,
                "disableSystemRoot": True,
                "certificates": [trusted],
            },
        },
    )


def xhttp(decryption: str, encryption: str) -> Transport:
    """XHTTP in the way that needs least of a proxy, with VLESS's own encryption inside."""
    settings = {"network": "xhttp", "xhttpSettings": {"path": PATH, "mode": "packet-up"}}
    return Transport(settings, settings, decryption, encryption)


def new_keys(directory: Path) -> tuple[str, str]:
    """The server's and the client's part of VLESS's encryption. Raises `BenchError`."""
    said = run([built_program("xray"), "vlessenc"], directory)
    found = re.search(r'"decryption": "([^"]+)"\s+"encryption": "([^"]+)"', said)
    if found is None:
        raise BenchError("xray vlessenc made no keys")
    return found[1], found[2]


def server_config(address: str, user: str, transport: Transport) -> dict[str, Any]:
    """Let `user` in at `address` and dial what it asks for."""
    host, port = split(address)
    entry = {
        "listen": host,
        "port": port,
        "protocol": "vless",
        "settings": {"clients": [{"id": user}], "decryption": transport.decryption},
        "streamSettings": transport.server,
    }
    return {
        "log": {"loglevel": "warning", "access": "none"},
        "inbounds": [entry],
        "outbounds": [{"protocol": "freedom"}],
    }


def client_config(
    entry: str, server: str, user: str, transport: Transport, mux: bool
) -> dict[str, Any]:
    """SOCKS5 at `entry`, everything through `server`."""
    host, port = split(server)
    own_host, own_port = split(entry)
    to = {
        "address": host,
        "port": port,
        "users": [{"id": user, "encryption": transport.encryption}],
    }
    outbound: dict[str, Any] = {
        "protocol": "vless",
        "settings": {"vnext": [to]},
        "streamSettings": transport.client,
    }
    if mux:
        outbound["mux"] = {"enabled": True, "concurrency": MUX_STREAMS}
    return {
        "log": {"loglevel": "warning", "access": "none"},
        "inbounds": [
            {
                "listen": own_host,
                "port": own_port,
                "protocol": "socks",
                "settings": {"auth": "noauth"},
            }
        ],
        "outbounds": [outbound],
    }


@dataclass(frozen=True, slots=True)
class Xray:
    """One way to run Xray; `over` is `ws` or `xhttp`."""

    name: str
    remark: str
    over: str
    mux: bool = False
    entry: Entry = field(default="socks5", init=False)

    def version(self) -> str | None:
        return first_match([built_program("xray"), "version"], r"Xray (\S+)")

    def start_server(self, place: Place, origin: str) -> Running:
        address = new_address(place.server_host)
        config = server_config(address, *self._secrets(place))
        return self._start(place.folder("server"), config, address, place.server_prefix)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        address = new_address("127.0.0.1")
        config = client_config(address, server, *self._secrets(place), self.mux)
        return self._start(place.folder("client"), config, address, place.client_prefix)

    def _secrets(self, place: Place) -> tuple[str, Transport]:
        """What both ends know: the user, and how to travel. Made at the first call."""
        file = place.directory / "secrets.json"
        if not file.exists():
            keys = new_keys(place.directory) if self.over == "xhttp" else ("none", "none")
            file.touch(mode=0o600)
            file.write_text(json.dumps([str(uuid.uuid4()), *keys]))
        user, decryption, encryption = json.loads(file.read_text())
        if self.over == "xhttp":
            return user, xhttp(decryption, encryption)
        return user, web_socket(certificate_in(place.directory, place.server_host))

    def _start(
        self, folder: Path, config: dict[str, Any], address: str, prefix: tuple[str, ...]
    ) -> Running:
        file = folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=1))
        command = [built_program("xray"), "run", "-c", str(file)]
        return Launch(self.name, folder, command, prefix).start_listening(address)
