"""`Address`: where an application wants to go; and `ListenAddress`: where we accept."""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass
from typing import TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 1035 2.3.4 bounds the name; an underscore stands in many real names (RFC 2181 section 11).
MAX_NAME = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
# A last label that only a number could be: systems read such a name as an IPv4 (WHATWG URL 3.5).
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII)
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port in canonical form; build one with `parse` or `of`, compare with ``==``.

    `host` is a lower-case name without a trailing dot (A-labels for IDN), a dotted-quad IPv4, or a
    compressed IPv6 without brackets (an IPv4-mapped one becomes the IPv4). `port` is 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``host:port`` or ``[v6]:port`` (RFC 3986 3.2.2; no user, no zone, no default port).

        Raises `ValueError` on everything else, odd IPv4 spellings (``127.1``, ``0x7f.1``) too.
        """
        return _parse(text)

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """Make one from a host (name or literal, no brackets) and a port. Raises `ValueError`."""
        if not 1 <= port <= 65535:
            raise ValueError(f"port {port} is not between 1 and 65535")
        return cls(_canonical(host), port)

    @property
    def ip(self) -> IPAddress | None:
        """The literal address, or None where `host` is a name."""
        return _literal(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@functools.lru_cache(_REMEMBERED)
def _parse(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port):
        raise ValueError("expected host:port with a port from 1 to 65535")
    if host.startswith("["):
        if not host.endswith("]") or ":" not in host:
            raise ValueError("brackets hold an IPv6 address")
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets")
    return Address.of(host, int(port))


@functools.lru_cache(_REMEMBERED)
def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@functools.lru_cache(_REMEMBERED)
def _canonical(host: str) -> str:
    """The one spelling of `host`. Raises `ValueError`."""
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone is no destination")
        v6 = ipaddress.IPv6Address(host)
        return str(v6.ipv4_mapped or v6)
    if _NUMERIC.fullmatch(host):
        try:
            # Strict: four decimal numbers without leading zeros, so there is one spelling.
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("an IPv4 address is four decimal numbers") from None
    if len(host.rstrip(".")) > MAX_NAME or not _NAME.fullmatch(host):
        raise ValueError("not a host name (letters, digits, '-', '_' and dots)")
    return host.rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener accepts: a host and port (port 0: any free one), or a unix socket path."""

    host: str | None
    port: int
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Parse ``host:port``, ``[v6]:port`` or ``unix:PATH``; ``:port`` is refused. ValueError."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path or "\0" in path:
                raise ValueError("expected unix:PATH")
            return cls(None, 0, path)
        host, colon, port = text.rpartition(":")
        if not colon or not (port == "0" or _PORT.fullmatch(port)):
            raise ValueError(f"{text!a}: expected host:port (port 0: any free one) or unix:PATH")
        try:
            # Only a listener may leave the port to the system.
            address = Address.parse(f"{host}:1" if port == "0" else text)
        except ValueError as error:
            raise ValueError(f"{text!a}: {error}") from None
        if address.host == "unix":
            # UNIX:0, or unix.:0, which would be written as if it were a path.
            raise ValueError(f"{text!a}: a host can't be called unix")
        return cls(address.host, int(port))

    @property
    def is_loopback(self) -> bool:
        """True for a unix socket, loopback literals and ``localhost``."""
        if self.host is None:
            return True
        ip = _literal(self.host)
        return ip.is_loopback if ip is not None else self.host == "localhost"

    def __str__(self) -> str:
        if self.host is None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
