"""`Served`: what `Proxy` and `TunnelServer` are alike in: listeners, who comes in, the end."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Iterable, Sequence
from socket import socket
from types import TracebackType
from typing import TypeAlias

from underpass.access import Policy
from underpass.address import ListenAddress
from underpass.net.gate import Gate, GateLimits
from underpass.net.listen import bind_all, listening_on
from underpass.net.resolve import Lookup, Resolver, system_lookup
from underpass.observe import Observer
from underpass.options import Limits
from underpass.outbound.direct import Direct, DirectOptions
from underpass.outbound.guard import Guard
from underpass.outbound.own_listeners import OwnListeners
from underpass.outbound.upstream import Upstream
from underpass.server_options import ServerLimits
from underpass.serving_options import ServingOptions

AnyLimits: TypeAlias = Limits | ServerLimits


class Served(abc.ABC):
    """See the module. Leaving the block drains for the time that `drain_timeout` says."""

    def __init__(self, limits: AnyLimits, observer: Observer | None) -> None:
        self.observer = observer or Observer()
        self._gate = Gate(gate_limits(limits), self.observer.counters)
        self._own = OwnListeners()
        self._addresses: tuple[ListenAddress, ...] = ()
        self._ended = False
        self._tasks = asyncio.TaskGroup()

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """The addresses really bound, once the block is entered."""
        return self._addresses

    def protect(self, listeners: Iterable[ListenAddress]) -> None:
        """Keep clients from `listeners` too: ours beside these, such as that of metrics.

        The addresses are literal, as they are bound. It holds whatever policy allows, and after a
        reload.
        """
        for address in listeners:
            if address.host is not None:
                self._own.add(address.host, address.port)

    @property
    @abc.abstractmethod
    def drain_timeout(self) -> float:
        """How long what is under way may take to finish, in seconds."""

    @abc.abstractmethod
    def stop_accepting(self) -> None:
        """Begin nothing new."""

    @abc.abstractmethod
    async def drain(self, timeout: float) -> None:
        """Wait until all that was begun has ended, for at most `timeout` seconds."""

    @abc.abstractmethod
    def end(self) -> None:
        """End what is left at once, without draining."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_accepting()
        if error is None and not self._ended:
            await self.drain(self.drain_timeout)
        self.end()
        # Without the error: it is the caller's own, and goes on as it is.
        await self._tasks.__aexit__(None, None, None)

    def _bound(
        self, given: Sequence[socket] | None, listen: Sequence[ListenAddress]
    ) -> list[socket]:
        """The sockets to listen on: those given, or of our own. Raises `ConfigurationError`."""
        sockets = list(given or bind_all(listen))
        self._addresses = tuple(listening_on(sock) for sock in sockets)
        self.protect(self._addresses)
        return sockets

    def _guarded(self, policy: Policy, outbound: Direct | Upstream) -> Guard:
        return Guard(policy, outbound, self._own, self.observer.counters)


def gate_limits(limits: AnyLimits) -> GateLimits:
    """Who may come in."""
    return GateLimits(
        total=limits.max_connections,
        per_client=limits.max_connections_per_client,
        unsettled=limits.max_unauthenticated,
    )


def direct(limits: AnyLimits, lookup: Lookup | None) -> Direct:
    """The way out of this machine, which asks the system for names unless told."""
    resolver = Resolver(limits.dns_timeout, lookup or system_lookup)
    return Direct(resolver, DirectOptions(limits.connect_timeout))


def changed(names: Sequence[str], now: ServingOptions, before: ServingOptions) -> list[str]:
    """Which of these options are others than before."""
    return [name for name in names if getattr(now, name) != getattr(before, name)]
