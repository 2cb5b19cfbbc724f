"""`NoProxy`: the addresses that are reached without a proxy, as NO_PROXY lists them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

from underpass.address import Address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class _Entry:
    """A name with all below it (empty: every address) or a network; port 0 is any."""

    name: str = ""
    network: Network | None = None
    port: int = 0

    def covers(self, address: Address) -> bool:
        if self.port and self.port != address.port:
            return False
        if self.network is not None:
            ip = address.ip
            return ip is not None and ip.version == self.network.version and ip in self.network
        host = address.host
        return not self.name or host == self.name or host.endswith(f".{self.name}")


class NoProxy:
    """A list with commas or spaces between: ``*``, ``.example.com``, ``*.example.com``,
    ``host:8080``, ``10.0.0.0/8``, ``[2001:db8::1]:443``.

    There is no standard: a name covers what is below it, with a dot before it or not, as in curl.
    An entry that can't be understood covers nothing.
    """

    def __init__(self, text: str) -> None:
        words = text.replace(",", " ").split()
        self._entries = [entry for word in words if (entry := _parse(word)) is not None]

    def covers(self, address: Address) -> bool:
        """Whether `address` is to be reached without a proxy. Names are not resolved."""
        return any(entry.covers(address) for entry in self._entries)


def _parse(word: str) -> _Entry | None:
    if word == "*":
        return _Entry()
    network = _network(word)
    if network is not None:
        return _Entry(network=network)
    host, port = _split(word)
    network = _network(host.removeprefix("[").removesuffix("]"))
    if network is not None:
        return _Entry(network=network, port=port)
    name = host.removeprefix("*").removeprefix(".")
    try:
        return _Entry(Address.of(name, 1).host, port=port)
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None


def _split(word: str) -> tuple[str, int]:
    host, colon, port = word.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) <= 5:
        return host, int(port)
    return word, 0
