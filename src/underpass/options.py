"""The options of the proxy: frozen dataclasses, each field with its kind, unit and default.

The kinds are the only description of what a value may be: `underpass.config` reads files,
environment and flags by them, and takes its error texts from them.
"""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from underpass.access import Effect, Rule
from underpass.address import Address, ListenAddress
from underpass.errors import ConfigurationError

# RFC 9110 5.6.2; the identity stands in Via and Proxy-Status, where both want a token.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VIA_PORTS = {"http": 80, "https": 443, "socks5": 1080}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value may be: its form on the wire of a file, what `parse` makes of it, in words.

    `wire` is a type as msgspec checks it, `expected` ends the sentence "expected …"; `parse`
    raises `ValueError`. With `many`, `wire` is the type of each element of a list.
    """

    wire: Any
    expected: str
    parse: Callable[[Any], Any] | None = None
    many: bool = False


@dataclass(frozen=True, slots=True)
class Via:
    """The upstream proxy that everything goes out through. Prints without its password."""

    scheme: str
    address: Address
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse ``http|https|socks5://[user[:password]@]host[:port]``; `ValueError`.

        The text of the error never holds the URL: it may hold a password.
        """
        scheme, separator, _ = text.partition("://")
        scheme = scheme.lower()
        if not all("!" <= character <= "~" for character in text):
            # urlsplit would take a line end or tab out, and go on with what is left.
            raise ValueError("an upstream proxy's URL is printable ASCII without spaces")
        if not separator or scheme not in _VIA_PORTS:
            raise ValueError("an upstream proxy is http://, https:// or socks5://host:port")
        try:
            parts = urllib.parse.urlsplit(text)
            port = parts.port if parts.port is not None else _VIA_PORTS[scheme]
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
        """The whole URL, password too: for `Upstream` only, never for printing."""
        if not self.user:
            return f"{self.scheme}://{self.address}"
        user, password = (urllib.parse.quote(text, safe="") for text in (self.user, self.password))
        return f"{self.scheme}://{user}:{password}@{self.address}"

    def with_password(self, password: str) -> Via:
        """The same with another password."""
        return dataclasses.replace(self, password=password)

    def __str__(self) -> str:
        user = urllib.parse.quote(self.user, safe="")
        secret = ":***" if self.password else ""
        return f"{self.scheme}://{user}{secret}{'@' if user else ''}{self.address}"


def _identity(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("expected 1 to 64 letters, digits, '-', '.', '_' (a token)")
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("expected a path, got an empty or broken one")
    return Path(text).expanduser()


def _allow(text: str) -> Rule:
    return Rule.parse(Effect.ALLOW, text)


def _deny(text: str) -> Rule:
    return Rule.parse(Effect.DENY, text)


_WEEK = 7 * 24 * 3600
_MEGABYTE = 1024 * 1024

LISTEN = Kind(str, "a list of addresses such as 127.0.0.1:8080", ListenAddress.parse, many=True)
METRICS = Kind(str, "an address such as 127.0.0.1:9090", ListenAddress.parse)
ALLOW = Kind(str, "a list of rules such as *.example.com:443", _allow, many=True)
DENY = Kind(str, "a list of rules such as *.example.com:443", _deny, many=True)
VIA = Kind(str, "a URL such as http://proxy.example:3128", Via.parse)
PATH = Kind(str, "a path", _path)
TEXT = Kind(str, "a name", _identity)
AUTH = Kind(Literal["none", "basic"], "none or basic")
LOG = Kind(Literal["text", "json"], "text or json")
WORKERS = Kind(Annotated[int, Meta(ge=0, le=64)], "a whole number from 0 to 64")
# Nothing waits longer than a week: what looks like more is a mistake in the unit.
SECONDS = Kind(Annotated[float, Meta(gt=0, le=_WEEK)], "a number of seconds, up to 604800")
SECONDS_OR_NONE = Kind(
    Annotated[float, Meta(ge=0, le=_WEEK)], "a number of seconds, 0 (no limit) to 604800"
)
SECONDS_OR_AT_ONCE = Kind(
    Annotated[float, Meta(ge=0, le=_WEEK)], "a number of seconds, 0 (at once) to 604800"
)
COUNT = Kind(Annotated[int, Meta(ge=1, le=1_000_000)], "a whole number from 1 to 1000000")
COUNT_OR_NONE = Kind(Annotated[int, Meta(ge=0, le=1_000_000)], "a whole number from 0 to 1000000")
FIELDS = Kind(Annotated[int, Meta(ge=10, le=10_000)], "a whole number from 10 to 10000")
# RFC 9112 section 3 recommends 8000 octets for the request line alone.
HEAD_BYTES = Kind(
    Annotated[int, Meta(ge=8192, le=_MEGABYTE)], "a number of bytes from 8192 to 1048576"
)
BODY_BYTES = Kind(Annotated[int, Meta(ge=0, le=1 << 50)], "a number of bytes, 0 (no limit) or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on time, number and size. Times in seconds, sizes in bytes.

    head_timeout: from accepting, or the first byte of a later request, to the whole head.
    keep_alive_timeout: how long a client's connection may wait for its next request.
    connect_timeout: to open a TCP connection to the destination, all its addresses together.
    dns_timeout: to resolve one name.
    tunnel_idle_timeout: a tunnel without a byte either way ends after this; 0: never.
    half_close_timeout: after one direction of a tunnel ended, the other may go on this long; 0: no
        end.
    response_timeout: from a forwarded request's end to the head of its response; 0: no end.
    drain_timeout: after SIGTERM, tunnels and requests may go on this long; 0: they end at once.
    max_connections: in all, a process; 0: derived from the limit on open files.
    max_connections_per_client: from one client address, a process; 0: no limit.
    max_unauthenticated: connections whose first request has not yet been let in.
    max_header_bytes: of one head, or of one trailer section.
    max_header_fields: in one head, or in one trailer section.
    max_body_bytes: of one forwarded request; 0: no limit.
    pool_idle_timeout: an idle connection to a server is kept this long for the next request.
    pool_per_destination: idle connections kept for one destination of one user.
    """

    head_timeout: Annotated[float, SECONDS] = 10.0
    keep_alive_timeout: Annotated[float, SECONDS] = 60.0
    connect_timeout: Annotated[float, SECONDS] = 10.0
    dns_timeout: Annotated[float, SECONDS] = 5.0
    tunnel_idle_timeout: Annotated[float, SECONDS_OR_NONE] = 0.0
    half_close_timeout: Annotated[float, SECONDS_OR_NONE] = 3600.0
    response_timeout: Annotated[float, SECONDS_OR_NONE] = 300.0
    drain_timeout: Annotated[float, SECONDS_OR_AT_ONCE] = 30.0
    max_connections: Annotated[int, COUNT_OR_NONE] = 0
    max_connections_per_client: Annotated[int, COUNT_OR_NONE] = 0
    max_unauthenticated: Annotated[int, COUNT] = 1000
    max_header_bytes: Annotated[int, HEAD_BYTES] = 64 * 1024
    max_header_fields: Annotated[int, FIELDS] = 100
    max_body_bytes: Annotated[int, BODY_BYTES] = 0
    pool_idle_timeout: Annotated[float, SECONDS] = 30.0
    pool_per_destination: Annotated[int, COUNT_OR_NONE] = 8


def default_state() -> Path:
    """Where the user store lives unless told: the XDG state directory of this user."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "underpass"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """All that `underpass proxy` can be told. Raises `ConfigurationError` where options clash.

    listen: where to accept; port 0 is any free one.
    allow, deny: rules over the default deny list; the most specific wins.
    auth: ``none`` (on loopback only) or ``basic`` (users of the store, Basic and Bearer).
    state: the directory of the user store.
    via: an upstream proxy to go out through; None: directly. Holds its password.
    via_password_file: where that password came from, if from a file.
    tls_cert, tls_key: PEM files; with both, the listeners speak TLS.
    workers: processes; 0: one a CPU.
    metrics: where to serve Prometheus metrics; None: nowhere.
    log: ``text`` for people, ``json`` for machines.
    log_file: append the log here; None: standard error.
    identity: our name in Via and Proxy-Status; unlike other proxies' in the path.
    limits: see `Limits`.
    """

    listen: Annotated[tuple[ListenAddress, ...], LISTEN] = (ListenAddress("127.0.0.1", 8080),)
    allow: Annotated[tuple[Rule, ...], ALLOW] = ()
    deny: Annotated[tuple[Rule, ...], DENY] = ()
    auth: Annotated[Literal["none", "basic"], AUTH] = "none"
    state: Annotated[Path, PATH] = field(default_factory=default_state)
    via: Annotated[Via | None, VIA] = None
    via_password_file: Annotated[Path | None, PATH] = None
    tls_cert: Annotated[Path | None, PATH] = None
    tls_key: Annotated[Path | None, PATH] = None
    workers: Annotated[int, WORKERS] = 1
    metrics: Annotated[ListenAddress | None, METRICS] = None
    log: Annotated[Literal["text", "json"], LOG] = "text"
    log_file: Annotated[Path | None, PATH] = None
    identity: Annotated[str, TEXT] = "underpass"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.listen:
            raise ConfigurationError("listen: expected at least one address")
        fixed = [address for address in self.listen if address.port or address.path]
        if len(set(fixed)) < len(fixed):
            raise ConfigurationError("listen: the same address twice")
        if (self.tls_cert is None) != (self.tls_key is None):
            present, absent = ("tls_cert", "tls_key") if self.tls_cert else ("tls_key", "tls_cert")
            raise ConfigurationError(f"{present}: needs {absent} beside it")
        exposed = [address for address in self.listen if not address.is_loopback]
        if exposed and self.auth == "none":
            raise ConfigurationError(
                f"listen: {exposed[0]} can be reached by other machines, which would make an open "
                "proxy; set auth to basic and add users with `underpass user add NAME`, or listen "
                "on 127.0.0.1"
            )

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, as a `Policy` takes them."""
        return self.allow + self.deny

    @property
    def is_tls(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.tls_cert is not None

    @property
    def processes(self) -> int:
        """How many worker processes to run: `workers`, or one a CPU that we may use."""
        return self.workers or min(len(os.sched_getaffinity(0)), 64)
