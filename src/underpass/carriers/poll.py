"""`PollCarrier`: whole, bounded messages alone, for networks that hold back what is not whole.

What goes up goes in POSTs, what comes down in the answers to requests that wait at the server;
several of each are under way at once, over a TCP connection each. Where a path lets one request at
a time through, a POST would wait as long as those do: then they take turns.
"""

from __future__ import annotations

import asyncio
import math
from typing import ClassVar

from underpass.carriers.base import Feed
from underpass.carriers.calls import SerialPath, helped, side_by_side
from underpass.carriers.down import Down
from underpass.carriers.http_client import HttpClient
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.posting import PostingCarrier
from underpass.carriers.turns import CAREFUL_SECONDS, take_turns


class PollCarrier(PostingCarrier):
    """See the module. `pacing` outlives the carrier."""

    name: ClassVar[str] = "poll"

    def __init__(self, client: HttpClient, methods: Methods, pacing: Pacing) -> None:
        super().__init__(client, methods, pacing)
        self._asking = Down(self._calls, methods)

    async def _carry(self, feed: Feed) -> None:
        now = asyncio.get_running_loop().time()
        if not self._pacing.is_serial:
            if self._pacing.path.is_doubted(now):
                # It is seen later whether others can go beside.
                await self._take_turns(feed, now + CAREFUL_SECONDS)
            try:
                await side_by_side(self._up.run(feed), self._down(feed), self._calls.stuck())
            except SerialPath:
                # What waits at the server is given up by now, and asked for again.
                if await self._helps(feed):
                    self._pacing.turn_serial()
        if self._pacing.is_serial:
            await self._take_turns(feed, math.inf)
        await side_by_side(self._up.run(feed), self._down(feed))

    async def _take_turns(self, feed: Feed, until: float) -> None:
        await take_turns(feed, until, self._up.send_all, self._asking.ask_once)

    async def _helps(self, feed: Feed) -> bool:
        """Whether what was stuck passes when it goes alone."""
        now = asyncio.get_running_loop().time
        started = now()
        await self._up.send_all(feed)
        return helped(now() - started, feed.delay)

    async def _down(self, feed: Feed) -> None:
        await self._asking.run(feed)
