"""What the front ends that dial once for each client share: dial, relay, and the access line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from underpass.net.gate import Ticket
from underpass.net.joint import Joiner
from underpass.net.relay import RelayTimeouts, Transfer, relay
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.observe import AccessRecord, Counter, Observer

_TUNNELS = Counter.TUNNELS_OPEN.value
_TIMEOUTS = RelayTimeouts()


@dataclass(slots=True)
class Visit:
    """One client of a front end, from its first byte to its access line."""

    method: str
    client: str
    user: str = "-"
    address: str = "-"
    status: int = 0
    sent: int = 0
    received: int = 0
    reason: str = "ok"
    started: float = field(default_factory=time.monotonic)

    def record(self) -> AccessRecord:
        """The access line's content."""
        return AccessRecord(
            user=self.user,
            client=self.client,
            method=self.method,
            address=self.address,
            status=self.status,
            sent=self.sent,
            received=self.received,
            seconds=time.monotonic() - self.started,
            reason=self.reason,
        )


class VisitRelay:
    """Relays visits of one front end; whoever has none relayed any more writes its access line."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._joiner = Joiner(_TIMEOUTS)

    async def relay(
        self, visit: Visit, ticket: Ticket, client: Stream, destination: Stream, early: int = 0
    ) -> None:
        """Relay; `early` was sent before.

        Where that needs no task it goes on after this has returned, and holds the ticket. Else the
        counts are in `visit`, however it ends.
        """
        if isinstance(client, TransportStream) and destination.can_pour:
            standing = _StandingVisit(visit, ticket, self._observer, early)
            joint = self._joiner.join(client, destination, standing.ended)
            ticket.keep(joint.cut)
            return
        counters = self._observer.counters
        counters.add(Counter.TUNNELS_OPEN)
        try:
            transfer = await relay(client, destination, _TIMEOUTS, visit)
        finally:
            counters.add(Counter.TUNNELS_OPEN, -1)
            visit.sent += early
        visit.sent, visit.received = transfer.sent + early, transfer.received
        visit.reason = transfer.ending.value

    def left(self, visit: Visit, ticket: Ticket) -> None:
        """The task that served a visit ends: so does the visit, unless it stands without one."""
        if not ticket.is_kept:
            self._observer.access(visit.record())


class _StandingVisit:
    """What is kept of a visit for whose streams no task waits."""

    __slots__ = ("_early", "_observer", "_ticket", "_visit")

    def __init__(self, visit: Visit, ticket: Ticket, observer: Observer, early: int) -> None:
        self._visit = visit
        self._ticket = ticket
        self._observer = observer
        self._early = early
        observer.counters.slots[_TUNNELS] += 1

    def ended(self, transfer: Transfer) -> None:
        """Both streams are free."""
        visit, observer = self._visit, self._observer
        visit.sent, visit.received = transfer.sent + self._early, transfer.received
        visit.reason = transfer.ending.value
        observer.counters.slots[_TUNNELS] -= 1
        observer.access(visit.record())
        self._ticket.leave()
