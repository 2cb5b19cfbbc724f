"""Who may come in: bounds on connections, in all, a client, and before they proved useful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from underpass.observe import Counter, Counters

# By name, as an enum's member costs ten times what a name does.
_ACCEPTED = Counter.CONNECTIONS_ACCEPTED.value
_OPEN = Counter.CONNECTIONS_OPEN.value


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Numbers of connections; 0 means no bound.

    `unsettled` bounds those that have not yet sent a whole, authenticated request.
    """

    total: int = 0
    per_client: int = 0
    unsettled: int = 0


class Ticket:
    """One admitted connection's place at the gate."""

    __slots__ = ("_evict", "_evicted", "_gate", "client", "is_kept")

    def __init__(self, gate: Gate, client: str) -> None:
        self._gate = gate
        self._evict: Callable[[], object] | None = None
        self._evicted = False
        self.client = client
        self.is_kept = False

    def on_evict(self, evict: Callable[[], object]) -> None:
        """Call `evict` when the place is needed for a new connection before this one settled.

        In a burst that may have happened already, before this one's task began: then it is now.
        """
        self._evict = evict
        if self._evicted:
            evict()

    def keep(self, evict: Callable[[], object]) -> None:
        """The connection goes on without the task that served it, until `leave` is called.

        From now on `evict` ends it.
        """
        self._evict = evict
        self.is_kept = True

    def evict(self) -> None:
        """End the connection that holds this ticket."""
        self._evicted = True
        if self._evict is not None:
            self._evict()

    def settled(self) -> None:
        """The connection has sent a whole, authenticated request: it is not evicted any more."""
        self._gate.settle(self)

    def leave(self) -> None:
        """The connection has ended. Safe to call twice."""
        self._gate.leave(self)


class Gate:
    """Counts connections and admits new ones within the limits.

    At the bound on unsettled connections the oldest of them makes room (as a slow attack holds its
    connections long, and a real client settles in milliseconds); at the other bounds the newcomer
    is turned away.
    """

    def __init__(self, limits: GateLimits, counters: Counters | None = None) -> None:
        self.limits = limits
        self.counters = counters or Counters()
        self._inside: set[Ticket] = set()
        self._unsettled: dict[Ticket, None] = {}
        self._clients: dict[str, int] = {}
        self._empty: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._inside)

    def admit(self, client: str) -> Ticket | None:
        """Return a ticket, or None when a bound is reached."""
        limits = self.limits
        if (limits.total and len(self._inside) >= limits.total) or (
            limits.per_client and self._clients.get(client, 0) >= limits.per_client
        ):
            self.counters.add(Counter.CONNECTIONS_SHED)
            return None
        if limits.unsettled and len(self._unsettled) >= limits.unsettled:
            oldest = next(iter(self._unsettled))
            del self._unsettled[oldest]
            self.counters.add(Counter.CONNECTIONS_SHED)
            oldest.evict()
        ticket = Ticket(self, client)
        self._inside.add(ticket)
        self._unsettled[ticket] = None
        self._clients[client] = self._clients.get(client, 0) + 1
        slots = self.counters.slots
        slots[_ACCEPTED] += 1
        slots[_OPEN] += 1
        return ticket

    def evict_all(self) -> None:
        """End every connection inside."""
        for ticket in list(self._inside):
            ticket.evict()

    async def wait_empty(self) -> None:
        """Wait until nobody is inside."""
        while self._inside:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty

    def settle(self, ticket: Ticket) -> None:
        """Take `ticket` off the list of those that may be evicted."""
        self._unsettled.pop(ticket, None)

    def leave(self, ticket: Ticket) -> None:
        """Give the place of `ticket` back."""
        if ticket not in self._inside:
            return
        self._inside.discard(ticket)
        self._unsettled.pop(ticket, None)
        self.counters.slots[_OPEN] -= 1
        left = self._clients[ticket.client] - 1
        if left:
            self._clients[ticket.client] = left
        else:
            del self._clients[ticket.client]
        if not self._inside and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
