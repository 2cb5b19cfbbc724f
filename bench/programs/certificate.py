"""A certificate of an authority of our own, for the tunnels that speak TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme

# Not a host of anybody; clients are told to expect it, wherever the server is.
SERVER_NAME = "bench.test"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files, all PEM: the server's chain and key, and the authority that clients trust."""

    chain: Path
    key: Path
    authority: Path


def certificate_in(directory: Path, host: str) -> Certificate:
    """The certificate kept in `directory`, for `host` and `SERVER_NAME`; made at the first call."""
    names = ("chain.pem", "key.pem", "authority.pem")
    files = Certificate(*(directory / name for name in names))
    if not files.authority.exists():
        authority = trustme.CA()
        leaf = authority.issue_cert(SERVER_NAME, host)
        files.key.touch(mode=0o600)
        files.key.write_bytes(leaf.private_key_pem.bytes())
        files.chain.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        authority.cert_pem.write_to_path(str(files.authority))
    return files
