"""The options of the proxy: frozen dataclasses, each field with its kind, unit and default."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from underpass.address import ListenAddress
from underpass.errors import ConfigurationError
from underpass.option_kinds import LISTEN, PATH, Kind
from underpass.outbound.via import Via
from underpass.serving_options import (
    COUNT,
    COUNT_OR_NONE,
    SECONDS,
    SECONDS_OR_AT_ONCE,
    SECONDS_OR_NONE,
    ServingOptions,
)

# RFC 9110 5.6.2; the identity stands in Via and Proxy-Status, where both want a token.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")


def _identity(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("expected 1 to 64 letters, digits, '-', '.', '_' (a token)")
    return text


_MEGABYTE = 1024 * 1024

_VIA = Kind(str, "a URL such as http://proxy.example:3128", Via.parse)
_TEXT = Kind(str, "a name", _identity)
_AUTH = Kind(Literal["none", "basic"], "none or basic")
_WORKERS = Kind(Annotated[int, Meta(ge=0, le=64)], "a whole number from 0 to 64")
_FIELDS = Kind(Annotated[int, Meta(ge=10, le=10_000)], "a whole number from 10 to 10000")
# RFC 9112 section 3 recommends 8000 octets for the request line alone.
_HEAD_BYTES = Kind(
    Annotated[int, Meta(ge=8192, le=_MEGABYTE)], "a number of bytes from 8192 to 1048576"
)
_BODY_BYTES = Kind(
    Annotated[int, Meta(ge=0, le=1 << 50)], "a number of bytes, 0 (no limit) or more"
)


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
    max_header_bytes: Annotated[int, _HEAD_BYTES] = 64 * 1024
    max_header_fields: Annotated[int, _FIELDS] = 100
    max_body_bytes: Annotated[int, _BODY_BYTES] = 0
    pool_idle_timeout: Annotated[float, SECONDS] = 30.0
    pool_per_destination: Annotated[int, COUNT_OR_NONE] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions(ServingOptions):
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
    auth: Annotated[Literal["none", "basic"], _AUTH] = "none"
    via: Annotated[Via | None, _VIA] = None
    via_password_file: Annotated[Path | None, PATH] = None
    workers: Annotated[int, _WORKERS] = 1
    identity: Annotated[str, _TEXT] = "underpass"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        # By its name: with slots, `super()` would look in a class that is no more.
        ServingOptions.__post_init__(self)
        exposed = [address for address in self.listen if not address.is_loopback]
        if exposed and self.auth == "none":
            raise ConfigurationError(
                f"listen: {exposed[0]} can be reached by other machines, which would make an open "
                "proxy; set auth to basic and add users with `underpass user add NAME`, or listen "
                "on 127.0.0.1"
            )

    @property
    def processes(self) -> int:
        """How many worker processes to run: `workers`, or one a CPU that we may use."""
        return self.workers or min(len(os.sched_getaffinity(0)), 64)
