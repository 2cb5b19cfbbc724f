"""What all conversations of one front end share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from underpass.access import Principal
from underpass.address import Address
from underpass.frontends.http.authentication import Authenticator, RememberingAuthenticator
from underpass.frontends.http.pool import Pool, PoolLimits
from underpass.net.clock import Alarm, TimeLimit
from underpass.net.relay import RelayTimeouts
from underpass.net.route import Route
from underpass.net.splice import Splicer
from underpass.net.stream import Dial
from underpass.observe import Observer
from underpass.protocol.http.credentials import Basic, Bearer
from underpass.protocol.http.head import HeadLimits

Known: TypeAlias = Callable[[Basic | Bearer, str], Principal | None]
"""`RememberingAuthenticator.known`."""


# Without slots, for what is kept of it.
@dataclass(frozen=True)
class FrontEndOptions:
    """How a front end behaves. Times in seconds, sizes in bytes, 0 for no bound.

    `identity` names this deployment in Proxy-Status; `pseudonym` names this very process in Via, so
    that two underpass proxies behind each other are no loop.
    """

    identity: str = "underpass"
    pseudonym: str = "underpass"
    head: HeadLimits = field(default_factory=HeadLimits)
    head_timeout: float = 10.0
    keep_alive_timeout: float = 60.0
    response_timeout: float | None = 300.0
    max_body_bytes: int = 0
    relay: RelayTimeouts = field(default_factory=RelayTimeouts)
    pool: PoolLimits = field(default_factory=PoolLimits)

    @functools.cached_property
    def via_name(self) -> bytes:
        """`pseudonym` as it stands in Via."""
        return self.pseudonym.encode("ascii")


class Outbound(Protocol):
    """Where requests go out: who asks is known in it, and authorised at every call."""

    def dial_as(self, principal: Principal) -> Dial:
        """The dial of `principal`, for tunnels."""

    def route_for(self, principal: Principal, address: Address) -> Route:
        """How one plain request of `principal` to `address` leaves. Raises `DialError`."""


@dataclass
class FrontEndState:
    """Options and parts that may be replaced while it runs; the next request sees the new ones."""

    outbound: Outbound
    observer: Observer
    options: FrontEndOptions
    authenticator: Authenticator | None
    pool: Pool
    draining: bool = False
    # Counts replacements, so that what a stream was opened under can be told from what holds now.
    generation: int = 0
    # Who is known without waiting, where `authenticator` can tell.
    known: Known | None = field(init=False)
    # What waits for its first request, and what relays without a task: one timer for all of each.
    first_heads: Alarm[TimeLimit] = field(init=False)
    splicer: Splicer = field(init=False)

    def __post_init__(self) -> None:
        self.use(self.options, self.authenticator)

    def use(self, options: FrontEndOptions, authenticator: Authenticator | None) -> None:
        """Go by `options` from now on, and ask `authenticator`."""
        self.options = options
        self.authenticator = authenticator
        self.known = None
        if isinstance(authenticator, RememberingAuthenticator):
            self.known = authenticator.known
        self.first_heads = Alarm(options.head_timeout, TimeLimit.expire)
        self.splicer = Splicer(options.relay)
