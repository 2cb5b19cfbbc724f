"""`SessionFeed`: one carrier's end of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from underpass.carriers.base import CarrierError, Feed
from underpass.protocol.frames import Payload
from underpass.tunnel.pulse import Pulse


class CarrierCalls(Protocol):
    """What a feed asks of whoever drives its session; none of these waits."""

    def take(self, number: int, limit: int) -> list[bytes]:
        """Records for a carrier."""

    def receive(self, number: int, data: Payload) -> None:
        """Bytes of a carrier."""

    def cut(self, number: int) -> None:
        """The last record of a carrier will not be whole."""

    def lost(self, records: list[bytes]) -> None:
        """Records that may not have arrived."""

    def lower_keepalive(self, number: int, seconds: float) -> None:
        """Ask over a carrier at least so often."""

    @property
    def delay(self) -> float:
        """The smoothed round-trip time in seconds."""


class SessionFeed(Feed):
    """See `Feed`; made by the driver, which wakes it when there may be something to send."""

    __slots__ = ("_driver", "_number", "_pulse", "_wake", "_wanted", "reason")

    def __init__(self, driver: CarrierCalls, number: int, pulse: Pulse | None = None) -> None:
        self._driver = driver
        self._number = number
        # Hears of what comes that the session takes for its own.
        self._pulse = pulse
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._wake: Callable[[], None] | None = None
        self.reason: str | None = None

    def take(self, limit: int) -> list[bytes]:
        records = self._driver.take(self._number, limit)
        if not records:
            if self._wake is None:
                self._wanted.clear()
        elif self._pulse is not None:
            self._pulse.sent()
        return records

    def receive(self, data: Payload) -> None:
        self._driver.receive(self._number, data)
        if self._pulse is not None and self.reason is None:
            self._pulse.heard()

    def cut(self) -> None:
        self._driver.cut(self._number)

    def lost(self, records: list[bytes]) -> None:
        self._driver.lost(records)

    def watch(self, wake: Callable[[], None] | None) -> None:
        self._wake = wake
        self._wanted.set()

    async def output(self) -> None:
        if not self._wanted.is_set():
            if self.reason is not None:
                raise CarrierError(self.reason)
            await self._wanted.wait()

    def lower_keepalive(self, seconds: float) -> None:
        self._driver.lower_keepalive(self._number, seconds)

    @property
    def delay(self) -> float:
        return self._driver.delay

    def wake(self) -> None:
        """There may be something to take."""
        if self._wake is not None:
            self._wake()
        else:
            self._wanted.set()

    def end(self, reason: str) -> None:
        """Nothing comes any more, after what is there to be taken now."""
        self.reason = reason
        self._wanted.set()
        self.wake()
