"""rathole: forwards a port to a service behind its client, each stream in TLS by itself.

It is a reverse tunnel: what listens is where applications come in, and the client, which comes to
it, is at the origin. So its two ends are swapped here, and it can be measured only where both run
in one place. Its WebSocket stood still in bulk transfers (0.5.0, tried), so TLS alone is used.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificates

from bench.generator import Entry
from bench.processes import Running
from bench.programs.certificate import SERVER_NAME, certificate_in
from bench.programs.launch import Launch, new_address
from bench.programs.tunnel_program import Place
from bench.programs.versions import built_program, first_match

SERVER = """\
[server]
bind_addr = "{address}"
default_token = "{secret}"
[server.transport]
type = "tls"
[server.transport.tls]
pkcs12 = "{identity}"
pkcs12_password = "{secret}"
[server.services.bench]
bind_addr = "{entry}"
"""

CLIENT = """\
[client]
remote_addr = "{server}"
default_token = "{secret}"
[client.transport]
type = "tls"
[client.transport.tls]
trusted_root = "{authority}"
hostname = "{name}"
[client.services.bench]
local_addr = "{origin}"
"""


@dataclass(frozen=True, slots=True)
class Rathole:
    """rathole with one service."""

    name: str = "rathole"
    remark: str = "Rust, TLS for each stream, opened ahead, in reverse; not HTTP at all"
    entry: Entry = field(default="forward", init=False)

    def version(self) -> str | None:
        return first_match([built_program("rathole"), "--version"], r"Build Version:\s+(\S+)")

    def start_server(self, place: Place, origin: str) -> Running:
        address, entry = new_address(place.server_host), new_address("127.0.0.1")
        secret = secrets.token_hex(16)
        (place.directory / "secret").write_text(secret)
        (place.directory / "entry").write_text(entry)
        config = SERVER.format(
            address=address, secret=secret, identity=_identity(place, secret), entry=entry
        )
        return _start(self.name, "--server", place, config, address)

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        config = CLIENT.format(
            server=server,
            secret=(place.directory / "secret").read_text(),
            authority=certificate_in(place.directory, place.server_host).authority,
            name=SERVER_NAME,
            origin=origin,
        )
        entry = (place.directory / "entry").read_text()
        return _start(self.name, "--client", place, config, entry)


def _start(name: str, role: str, place: Place, config: str, address: str) -> Running:
    """Start either end; `address` is what listens once it is up."""
    folder = place.folder(role.strip("-"))
    file = folder / "rathole.toml"
    file.write_text(config)
    prefix = place.server_prefix if role == "--server" else place.client_prefix
    command = [built_program("rathole"), role, str(file)]
    return Launch(name, folder, command, prefix).start_listening(address)


def _identity(place: Place, secret: str) -> Path:
    """The server's certificate and key as rathole wants them."""
    files = certificate_in(place.directory, place.server_host)
    key = load_pem_private_key(files.key.read_bytes(), None)
    leaf, *others = load_pem_x509_certificates(files.chain.read_bytes())
    encryption = BestAvailableEncryption(secret.encode())
    # trustme makes keys of the two kinds that PKCS #12 holds.
    identity = serialize_key_and_certificates(b"bench", key, leaf, others, encryption)  # type: ignore[arg-type]  # see above
    file = place.directory / "identity.p12"
    file.touch(mode=0o600)
    file.write_bytes(identity)
    return file
