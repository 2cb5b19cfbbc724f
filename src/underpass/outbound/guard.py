"""`Guard`: asks the policy at every dial, on the very addresses that are then connected to."""

from __future__ import annotations

from collections.abc import Sequence

from underpass.access import Decision, Policy, Principal
from underpass.address import Address, IPAddress
from underpass.errors import DialError, Failure, Forbidden
from underpass.net.stream import Dial, Stream
from underpass.outbound.direct import Direct
from underpass.outbound.own_listeners import OwnListeners
from underpass.outbound.upstream import Upstream


class Guard:
    """Dials for principals what `policy` allows them, and never our own listeners.

    A name is resolved once; every address it has is checked, and only those that passed are
    dialled, as literals: what a name server says a moment later changes nothing.

    Through an upstream proxy a name goes out unresolved, as only the other side may know it. Then
    rules of names and literal addresses hold here, and rules of addresses that a name leads to are
    the upstream proxy's to enforce.
    """

    def __init__(self, policy: Policy, outbound: Direct | Upstream, own: OwnListeners) -> None:
        self.policy = policy
        self._outbound = outbound
        self._own = own

    def dial_as(self, principal: Principal) -> Dial:
        """The dial of `principal`."""

        async def dial(address: Address) -> Stream:
            return await self.dial(principal, address)

        return dial

    async def dial(self, principal: Principal, address: Address) -> Stream:
        """Open a stream to `address` for `principal`.

        Raises `Forbidden` where policy denies it, and `DialError` for all else.
        """
        ip = address.ip
        if ip is None:
            named = self.policy.allows_name(principal, address)
            if not named:
                raise _forbidden(address, named)
        if isinstance(self._outbound, Upstream):
            if ip is not None:
                self._permitted(principal, address, (ip,))
            return await self._outbound.open(address)
        candidates = (ip,) if ip is not None else await self._outbound.resolve(address)
        permitted = self._permitted(principal, address, candidates)
        return await self._outbound.connect(permitted, address.port)

    def _permitted(
        self, principal: Principal, address: Address, candidates: Sequence[IPAddress]
    ) -> list[IPAddress]:
        """Those of `candidates` that may be dialled. Raises where none may."""
        permitted: list[IPAddress] = []
        refusal: DialError | None = None
        for ip in candidates:
            decision = self.policy.allows(principal, address, ip)
            if not decision:
                refusal = refusal or _forbidden(address, decision)
            elif self._own.owns(ip, address.port):
                refusal = refusal or DialError(Failure.LOOP, f"{address} is this proxy itself")
            else:
                permitted.append(ip)
        if not permitted and refusal is not None:
            raise refusal
        return permitted


def _forbidden(address: Address, decision: Decision) -> Forbidden:
    failure = Failure.IP_PROHIBITED if decision.by_default else Failure.FORBIDDEN
    return Forbidden(failure, f"{address}: {decision.reason}")
