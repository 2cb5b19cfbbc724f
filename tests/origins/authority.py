"""A throw-away certificate authority and the files that programs want of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Authority:
    """A CA that nobody else knows, and one certificate of it for loopback."""

    ca_file: Path
    cert_file: Path
    key_file: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        """Make both and write them as PEM files below `folder`."""
        files = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(str(files.ca_file))
        server.private_key_pem.write_to_path(str(files.key_file))
        for number, pem in enumerate(server.cert_chain_pems):
            pem.write_to_path(str(files.cert_file), append=number > 0)
        return files

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))
