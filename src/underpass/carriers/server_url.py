"""`ServerUrl`: where a tunnel's server is, as a URL."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from underpass.address import Address
from underpass.protocol.http.target import AbsoluteTarget, parse_absolute

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """``http://host[:port][/prefix]`` or ``https://…``; `prefix` is without a slash at its end."""

    scheme: str
    address: Address
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> ServerUrl:
        """Parse a URL. Raises `ValueError` for another scheme, a user, a query or a fragment."""
        parts = urllib.parse.urlsplit(text)
        if parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or parts.query:
            raise ValueError("expected http://host[:port][/path] or https://…")
        if parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError(
                "a server's URL has no fragment, spaces or other than ASCII characters"
            )
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        address = Address.of(parts.hostname or "", port)
        return cls(parts.scheme, address, parts.path.rstrip("/"))

    @property
    def is_tls(self) -> bool:
        """Whether requests go over TLS, to the server itself."""
        return self.scheme == "https"

    def target(self, path: str) -> AbsoluteTarget:
        """The target of a request for `path` below the prefix."""
        where = str(self.address)
        if self.address.port == DEFAULT_PORTS[self.scheme]:
            where = where.rpartition(":")[0]
        # The scheme matters to a proxy alone, and it sees plain requests alone.
        return parse_absolute(f"http://{where}{self.prefix}/{path}".encode("ascii"), b"GET")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}{self.prefix}"
