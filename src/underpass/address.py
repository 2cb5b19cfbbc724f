"""`Address`: where an application wants to go; and `ListenAddress`: where we accept."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port in canonical form; build one with `parse` or `of`, compare with ``==``.

    `host` is a lower-case name without a trailing dot (A-labels for IDN), a dotted-quad IPv4, or a compressed IPv6
    without brackets (an IPv4-mapped one becomes the IPv4). `port` is 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``host:port`` or ``[v6]:port`` (RFC 3986 3.2.2; no user, no zone, no default port).

        Raises `ValueError` on everything else, odd IPv4 spellings (``127.1``, ``0x7f.1``) too.
        """
        raise NotImplementedError

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """Make one from a host (name or literal, no brackets) and a port. Raises `ValueError`."""
        raise NotImplementedError

    @property
    def ip(self) -> IPAddress | None:
        """The literal address, or None where `host` is a name."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener accepts: a host and port (port 0: any free one), or a unix socket path."""

    host: str | None
    port: int
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Parse ``host:port``, ``[v6]:port``, ``:port`` is refused, ``unix:PATH``; ValueError."""
        raise NotImplementedError

    @property
    def is_loopback(self) -> bool:
        """True for a unix socket, loopback literals and ``localhost``."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError
