"""`Via`: an upstream proxy as a URL names it; `Chain`: several in a row."""

from __future__ import annotations

import dataclasses
import urllib.parse
from dataclasses import dataclass, field
from typing import TypeAlias

from underpass.address import Address

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080}
# Names are always resolved by the proxy.
_ALIASES = {"socks5h": "socks5", "socks": "socks5"}


@dataclass(frozen=True, slots=True)
class Via:
    """Where an upstream proxy is, and how to speak to it. Prints without its password.

    `scheme` is http, https or socks5; without a `user` it is asked for nothing.
    """

    scheme: str
    address: Address
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse ``http|https|socks5://[user[:password]@]host[:port]``; `socks5h` is the same.

        Raises `ValueError`, whose text never holds the URL: it may hold a password.
        """
        scheme, separator, _ = text.partition("://")
        scheme = _ALIASES.get(scheme.lower(), scheme.lower())
        if not all("!" <= character <= "~" for character in text):
            # urlsplit would take a line end or tab out, and go on with what is left.
            raise ValueError("an upstream proxy's URL is printable ASCII without spaces")
        if not separator or scheme not in DEFAULT_PORTS:
            raise ValueError("an upstream proxy is http://, https:// or socks5://host:port")
        try:
            parts = urllib.parse.urlsplit(text)
            port = parts.port if parts.port is not None else DEFAULT_PORTS[scheme]
            address = Address.of(parts.hostname or "", port)
            user = urllib.parse.unquote(parts.username or "", errors="strict")
            password = urllib.parse.unquote(parts.password or "", errors="strict")
        except ValueError:
            # `from None`: the text of the cause may quote a piece of the password.
            raise ValueError("the upstream proxy's host, port or user is malformed") from None
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("an upstream proxy has no path, query or fragment")
        if any(ord(character) < 0x20 or character == "\x7f" for character in user + password):
            raise ValueError("the upstream proxy's user or password holds a control character")
        if password and not user:
            raise ValueError("the upstream proxy has a password, but no user")
        return cls(scheme, address, user, password)

    @property
    def url(self) -> str:
        """The whole URL, password too: never for printing."""
        if not self.user:
            return f"{self.scheme}://{self.address}"
        user, password = (urllib.parse.quote(text, safe="") for text in (self.user, self.password))
        return f"{self.scheme}://{user}:{password}@{self.address}"

    @property
    def name(self) -> str:
        """Such as ``proxy.example:3128`` or ``socks5 10.0.0.1:1080``, for people."""
        return str(self.address) if self.scheme == "http" else f"{self.scheme} {self.address}"

    def with_password(self, password: str) -> Via:
        """The same with another password."""
        return dataclasses.replace(self, password=password)

    def __str__(self) -> str:
        user = urllib.parse.quote(self.user, safe="")
        secret = ":***" if self.password else ""
        return f"{self.scheme}://{user}{secret}{'@' if user else ''}{self.address}"


Chain: TypeAlias = tuple[Via, ...]
"""The upstream proxies to go through, the nearest first; none: directly."""

# The longest chain that anybody needs, and a bound on what one setting can make us do.
MAX_CHAIN = 8


def parse_chain(text: str) -> Chain:
    """Parse the URLs of proxies with commas between, the nearest first. Raises `ValueError`."""
    urls = [url.strip() for url in text.split(",")]
    if len(urls) > MAX_CHAIN:
        raise ValueError(f"a chain has {MAX_CHAIN} proxies at most")
    return tuple(Via.parse(url) for url in urls)
