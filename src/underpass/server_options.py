"""The options of the tunnel's server, as `underpass.options` has those of the proxy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.option_kinds import LISTEN, Kind
from underpass.serving_options import (
    COUNT,
    COUNT_OR_NONE,
    SECONDS,
    SECONDS_OR_AT_ONCE,
    SECONDS_OR_NONE,
    ServingOptions,
)

# What needs no encoding in a path (RFC 3986 section 3.3), so that every box leaves it as it is.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,64}){0,8}/?")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text) or "/." in text:
        raise ValueError("expected a path such as /files, of letters, digits, '-', '_' and '~'")
    return text.rstrip("/")


def _decoy(text: str) -> str | Path:
    if text.startswith(("http://", "https://")):
        return text
    if not text or "\0" in text or "://" in text:
        raise ValueError("expected a folder, or a URL that begins with http:// or https://")
    return Path(text).expanduser()


_SWITCH = Kind(bool, "true or false")
_PATH_PREFIX = Kind(str, "a path such as /files", _prefix)
_DECOY = Kind(str, "a folder or a URL", _decoy)
# The bounds of a hello (docs/protocol.md section 3).
_GRACE = Kind(Annotated[int, Meta(ge=0, le=86_400)], "a whole number of seconds, 0 to 86400")
_KEEPALIVE = Kind(Annotated[float, Meta(ge=1, le=600)], "a number of seconds from 1 to 600")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds on time and number. Times in seconds.

    head_timeout: from the first byte of a request to its whole head.
    keep_alive_timeout: how long a client's connection may wait for its next request.
    connect_timeout: to open a TCP connection to a destination, all its addresses together.
    dns_timeout: to resolve one name.
    tunnel_idle_timeout: a stream without a byte either way ends after this; 0: never.
    half_close_timeout: after one direction of a stream ended, the other may go on this long; 0: no
        end.
    drain_timeout: after SIGTERM, streams may go on this long; 0: they end at once.
    session_grace: how long a session waits for its client to come back.
    session_keepalive: how often an idle session asks whether the other end is there.
    max_connections: in all; 0: derived from the limit on open files.
    max_connections_per_client: from one client address; 0: no limit.
    max_unauthenticated: connections that have not shown yet to be a client's.
    max_hellos_per_client: a second, from one client address, ten times as many at once; 0: no
        limit.
    max_sessions: in all.
    max_sessions_per_user: unless the user's own limit says.
    max_streams_per_session: open at once in one session.
    max_streams_per_user: open at once in all sessions of a user, unless the user's own limit says.
    """

    head_timeout: Annotated[float, SECONDS] = 10.0
    keep_alive_timeout: Annotated[float, SECONDS] = 75.0
    connect_timeout: Annotated[float, SECONDS] = 10.0
    dns_timeout: Annotated[float, SECONDS] = 5.0
    tunnel_idle_timeout: Annotated[float, SECONDS_OR_NONE] = 0.0
    half_close_timeout: Annotated[float, SECONDS_OR_NONE] = 3600.0
    drain_timeout: Annotated[float, SECONDS_OR_AT_ONCE] = 30.0
    session_grace: Annotated[int, _GRACE] = 600
    session_keepalive: Annotated[float, _KEEPALIVE] = 30.0
    max_connections: Annotated[int, COUNT_OR_NONE] = 0
    max_connections_per_client: Annotated[int, COUNT_OR_NONE] = 0
    max_unauthenticated: Annotated[int, COUNT] = 1000
    max_hellos_per_client: Annotated[int, COUNT_OR_NONE] = 10
    max_sessions: Annotated[int, COUNT] = 4096
    max_sessions_per_user: Annotated[int, COUNT] = 64
    max_streams_per_session: Annotated[int, COUNT] = 1024
    max_streams_per_user: Annotated[int, COUNT] = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions(ServingOptions):
    """All that `underpass server` can be told. Raises `ConfigurationError` where options clash.

    listen: where to accept; port 0 is any free one.
    allow, deny: rules over the default deny list; the most specific wins.
    state: the directory of the user store and of the server's keys.
    prefix: the path below which carriers are; the rest is the decoy's.
    proxy: answer CONNECT and absolute-form requests too, for users with a password or token.
    decoy: what strangers find: a folder, or the URL of a site; None: nothing but 404.
    tls_cert, tls_key: PEM files; with both, the listeners speak TLS.
    tls_self: speak TLS with a certificate of our own making, which invites pin.
    metrics: where to serve Prometheus metrics and /healthz; None: nowhere.
    log: ``text`` for people, ``json`` for machines.
    log_file: append the log here; None: standard error.
    limits: see `ServerLimits`.
    """

    listen: Annotated[tuple[ListenAddress, ...], LISTEN] = (ListenAddress("127.0.0.1", 8090),)
    prefix: Annotated[str, _PATH_PREFIX] = ""
    proxy: Annotated[bool, _SWITCH] = False
    decoy: Annotated[str | Path | None, _DECOY] = None
    tls_self: Annotated[bool, _SWITCH] = False
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        # By its name: with slots, `super()` would look in a class that is no more.
        ServingOptions.__post_init__(self)
        if self.tls_self and self.tls_cert is not None:
            raise ConfigurationError("tls_self: there is a tls_cert already; use one of them")

    @property
    def is_tls(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.tls_self or self.tls_cert is not None
