"""What a line between two namespaces is like, as the emulator takes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields

FULL_PACKET = 1500
# A slow or short line still holds a burst of a few packets, as every router's queue does.
LEAST_QUEUE = 32 * FULL_PACKET
# What nearly every machine's TCP does by default.
USUAL_CONGESTION = "cubic"


@dataclass(frozen=True, slots=True)
class Way:
    """One direction; the fields are the emulator's keys (bench/wan/emulator.c)."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_bps: float = 0.0
    queue_bytes: float = 1e9
    loss: float = 0.0
    burst_loss: float = 0.0
    burst_length: float = 1.0
    reorder: float = 0.0
    reorder_ms: float = 0.0

    def text(self) -> str:
        """The emulator's argument."""
        return ",".join(f"{field.name}={getattr(self, field.name):.12g}" for field in fields(self))


@dataclass(frozen=True, slots=True)
class Line:
    """Both directions alike: a round trip in milliseconds, loss in percent, a rate in Mbit/s.

    The queue of each way holds one round trip of the rate, the rule of thumb for routers' buffers.
    """

    round_trip_ms: int
    loss_percent: float
    mbit: int

    @property
    def name(self) -> str:
        """As figures' keys have it: ``80ms-0.5%-20M``."""
        return f"{self.round_trip_ms}ms-{self.loss_percent:g}%-{self.mbit}M"

    @property
    def title(self) -> str:
        """As people read it."""
        return f"{self.round_trip_ms} ms, {self.loss_percent:g}% loss, {self.mbit} Mbit/s"

    @property
    def queue(self) -> int:
        """The bytes that may wait in one way."""
        return max(LEAST_QUEUE, self.mbit * 1000 * self.round_trip_ms // 8)

    def way(self) -> Way:
        """One direction of it."""
        return Way(
            delay_ms=self.round_trip_ms / 2,
            rate_bps=self.mbit * 1e6,
            queue_bytes=self.queue,
            loss=self.loss_percent / 100,
        )
