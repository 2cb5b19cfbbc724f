"""`StandingStreams`: the streams of a session that stand without a task of their own."""

from __future__ import annotations

import asyncio
from typing import Protocol


class StandingStream(Protocol):
    """One of them."""

    def cut(self) -> None:
        """End it now; it then tells of its end as ever."""


class StandingStreams:
    """What a session that ends waits for, or cuts, where there is no task to do that with."""

    __slots__ = ("_empty", "_streams")

    def __init__(self) -> None:
        self._streams: set[StandingStream] = set()
        self._empty: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: StandingStream) -> None:
        """A stream stands."""
        self._streams.add(stream)

    def discard(self, stream: StandingStream) -> None:
        """It has ended, and is free."""
        self._streams.discard(stream)
        if not self._streams and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def wait_empty(self) -> None:
        """Wait until none stands; who is cancelled meanwhile cuts all that do."""
        try:
            while self._streams:
                self._empty = asyncio.get_running_loop().create_future()
                await self._empty
        except asyncio.CancelledError:
            self.cut()
            raise

    def cut(self) -> None:
        """End all that stand."""
        for stream in list(self._streams):
            stream.cut()
