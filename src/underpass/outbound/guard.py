"""`Guard`: asks the policy at every dial, on the very addresses that are then connected to."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from underpass.access import Decision, Policy, Principal
from underpass.address import Address, IPAddress
from underpass.errors import DialError, Failure, Forbidden
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Dial, Stream
from underpass.observe import Counter, Counters, Histogram
from underpass.outbound.direct import Direct
from underpass.outbound.login import LoginTries
from underpass.outbound.own_listeners import OwnListeners
from underpass.outbound.upstream import Rehearsed, Upstream
from underpass.outbound.upstream_route import UpstreamRoute

# By name, as an enum's member costs ten times what a name does.
_DIALS = Counter.DIALS
_DIAL_SECONDS = Histogram.DIAL_SECONDS


class Guard:
    """Dials for principals what `policy` allows them, and never our own listeners.

    A name is resolved once; every address it has is checked, and only those that passed are
    dialled, as literals: what a name server says a moment later changes nothing.

    Through an upstream proxy a name goes out unresolved, as only the other side may know it. Then
    rules of names and literal addresses hold here, and rules of addresses that a name leads to are
    the upstream proxy's to enforce.
    """

    def __init__(
        self,
        policy: Policy,
        outbound: Direct | Upstream,
        own: OwnListeners,
        counters: Counters | None = None,
    ) -> None:
        self.policy = policy
        self._outbound = outbound
        self._own = own
        self._counters = counters or Counters()
        self._forwarder: Upstream | None = None
        if isinstance(outbound, Upstream) and outbound.forwards:
            self._forwarder = outbound

    def dial_as(self, principal: Principal) -> Dial:
        """The dial of `principal`."""
        return functools.partial(self.dial, principal)

    def route_for(self, principal: Principal, address: Address) -> Route:
        """How one plain request of `principal` to `address` leaves.

        Raises `Forbidden` where policy denies it; what a name leads to is asked when it is dialled.
        """
        self._check(principal, address)
        upstream = self._forwarder
        if upstream is None:
            return StreamRoute(self.dial_as(principal), address)

        async def reach() -> Stream:
            return await self._counted(upstream.reach())

        async def rehearse(stream: Stream, login: LoginTries) -> Rehearsed:
            return await upstream.rehearse(stream, login, address)

        return UpstreamRoute(reach, upstream.login(), rehearse)

    def dial(self, principal: Principal, address: Address) -> Coroutine[Any, Any, Stream]:
        """Open a stream to `address` for `principal`.

        Raises `Forbidden` where policy denies it, at once where that can be told, and `DialError`
        for all else.
        """
        literal = self._check(principal, address)
        if isinstance(self._outbound, Upstream):
            return self._counted(self._outbound.open(address))
        if literal:
            return self._counted(self._outbound.connect(literal, address.port))
        return self._counted(self._resolved(self._outbound, principal, address))

    async def _resolved(self, direct: Direct, principal: Principal, address: Address) -> Stream:
        """Open a stream to a name, over the addresses behind it that are permitted."""
        candidates = await direct.resolve(address)
        return await direct.connect(self._permitted(principal, address, candidates), address.port)

    def _check(self, principal: Principal, address: Address) -> list[IPAddress]:
        """Ask what can be told before a name is resolved. Raises `Forbidden`.

        Returns the address where it is a literal one, which has been permitted by this.
        """
        ip = address.ip
        if ip is not None:
            return self._permitted(principal, address, (ip,))
        named = self.policy.allows_name(principal, address)
        if not named:
            raise _forbidden(address, named)
        return []

    def _permitted(
        self, principal: Principal, address: Address, candidates: Sequence[IPAddress]
    ) -> list[IPAddress]:
        """Those of `candidates` that may be dialled. Raises `Forbidden` where none may."""
        permitted: list[IPAddress] = []
        refusal: Forbidden | None = None
        for ip in candidates:
            decision = self.policy.allows(principal, address, ip)
            if not decision:
                refusal = refusal or _forbidden(address, decision)
            elif self._own.owns(ip, address.port):
                refusal = refusal or Forbidden(Failure.LOOP, f"{address} is this proxy itself")
            else:
                permitted.append(ip)
        if not permitted and refusal is not None:
            raise refusal
        return permitted

    async def _counted(self, dialling: Awaitable[Stream]) -> Stream:
        """Count and time one dial; one that policy forbids is none, it is refused."""
        now = time.monotonic
        started = now()
        try:
            stream = await dialling
        except Forbidden:
            raise
        except DialError:
            self._counters.add(_DIALS)
            self._counters.add(Counter.DIAL_FAILURES)
            raise
        self._counters.add(_DIALS)
        self._counters.took(_DIAL_SECONDS, now() - started)
        return stream


def _forbidden(address: Address, decision: Decision) -> Forbidden:
    failure = Failure.IP_PROHIBITED if decision.by_default else Failure.FORBIDDEN
    return Forbidden(failure, f"{address}: {decision.reason}")
