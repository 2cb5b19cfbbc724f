"""Remembers what worked in which network, in a small file: the first try is then the right one."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from underpass.carriers.methods import REPLACEABLE

# More networks than anybody meets in a year; the one not met for longest makes room.
MAX_NETWORKS = 64
MAX_BYTES = 64 * 1024

# Any address beyond this network: a UDP socket that is connected to it sends nothing.
_BEYOND = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))
_PORT = 9
# Who is in the same network has the same of these many bits.
_BITS = {4: 24, 6: 64}


def local_network() -> str:
    """A mark of the network that this machine is in, such as ``10.1.2.0/24``; empty for none."""
    for beyond, family in _BEYOND:
        with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.connect((beyond, _PORT))
            ip = ipaddress.ip_address(probe.getsockname()[0].partition("%")[0])
            return str(ipaddress.ip_network(f"{ip}/{_BITS[ip.version]}", strict=False))
    return ""


@dataclass(frozen=True, slots=True)
class Worked:
    """What works in a network: the name of a kind and way, and the methods that are refused.

    Of those only `REPLACEABLE` ones: to do without them for longer than need be costs nothing.
    """

    carrier: str
    refused: frozenset[str] = frozenset()


class NetworkMemory:
    """See the module. What can't be read or written is not remembered: nothing depends on it."""

    def __init__(self, path: Path, server: str, via: str) -> None:
        self._path = path
        self._server = server
        self._via = via

    def _key(self) -> str:
        where = "\n".join((self._server, self._via, local_network()))
        # A digest: the file need not tell where somebody has been.
        return hashlib.sha256(where.encode()).hexdigest()[:32]

    def recall(self) -> Worked | None:
        """What worked here; None where nothing is known."""
        return _worked(self._read().get(self._key()))

    def remember(self, worked: Worked) -> None:
        """This works here."""
        known = self._read()
        key = self._key()
        if _worked(known.get(key)) == worked:
            return
        known.pop(key, None)
        known[key] = {"carrier": worked.carrier, "refused": sorted(worked.refused)}
        while len(known) > MAX_NETWORKS:
            del known[next(iter(known))]
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps(known))
            os.replace(draft, self._path)

    def _read(self) -> dict[str, object]:
        try:
            with self._path.open("rb") as file:
                known = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: value for key, value in known.items() if _worked(value) is not None}


def _worked(value: object) -> Worked | None:
    """What stands in the file; a name alone, as older versions wrote it; None for what is none."""
    if isinstance(value, str):
        return Worked(value)
    if not isinstance(value, dict) or not isinstance(value.get("carrier"), str):
        return None
    refused = value.get("refused")
    listed = refused if isinstance(refused, list) else []
    return Worked(value["carrier"], frozenset(one for one in REPLACEABLE if one in listed))
