"""What the front ends that dial once for each client share: dial, relay, and the access line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from underpass.net.relay import RelayTimeouts, relay
from underpass.net.stream import Stream
from underpass.observe import AccessRecord, Counter, Observer


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
    started: float = field(default_factory=lambda: asyncio.get_running_loop().time())

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
            seconds=asyncio.get_running_loop().time() - self.started,
            reason=self.reason,
        )


async def relay_visit(
    visit: Visit, client: Stream, destination: Stream, observer: Observer, early: int = 0
) -> None:
    """Relay, and keep the counts in `visit` however that ends; `early` was sent before."""
    observer.counters.add(Counter.TUNNELS_OPEN)
    try:
        transfer = await relay(client, destination, RelayTimeouts(), visit)
    finally:
        observer.counters.add(Counter.TUNNELS_OPEN, -1)
        visit.sent += early
    visit.sent, visit.received = transfer.sent + early, transfer.received
    visit.reason = transfer.ending.value
