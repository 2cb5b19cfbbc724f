"""`StreamCarrier`: one long response down, POSTs up, for networks that pass bodies as they come."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.calls import SLOWEST_BYTES, SerialPath, side_by_side
from underpass.carriers.http_client import Request, status_error
from underpass.carriers.posting import PostingCarrier
from underpass.errors import RemoteProtocolError, StreamError
from underpass.protocol.http.fields import Fields

# The head of the long response comes at once, or the network holds it back.
HEAD_SECONDS = 5.0

# Bytes may come at any time, and records within them are asked for by the session's keepalive. A
# read that brings nothing for so long can't happen on a carrier that lives.
QUIET_SECONDS = 300.0

# What is stuck for so long beyond the first doubt is no packet that was lost on its way.
STILL_STUCK_SECONDS = 2.0

# Where no POST is answered for so long and so many exchanges, others may have their try. The next
# kind waits no longer for its own.
HASTE_SECONDS = 0.25
HASTE_TRIPS = 3

# RFC 10036: this response is meant to be passed on as it comes.
_FIELDS = Fields([(b"Incremental", b"?1")])


class StreamCarrier(PostingCarrier):
    """See the module. `pacing` outlives the carrier."""

    name: ClassVar[str] = "stream"
    is_prompt: ClassVar[bool] = True

    async def open(self, message: bytes) -> bytes:
        if self._pacing.is_serial:
            raise SerialPath("the path lets one request at a time through")
        return await super().open(message)

    async def _carry(self, feed: Feed) -> None:
        try:
            await side_by_side(
                self._up.run(feed), self._down(feed), self._stuck(), self._make_room()
            )
        except SerialPath:
            self._pacing.turn_serial()
            raise

    async def _make_room(self) -> None:
        """Leave, once for a path, where no POST is answered for a few round trips.

        Where one request goes through at a time, the next kind to be tried would have to wait for
        this one to be given up. One that was only slow is tried again later.
        """
        path, answered = self._pacing.path, self._calls.answered
        if self._pacing.is_parallel or path.has_been_doubted:
            return
        await asyncio.sleep(HASTE_SECONDS + HASTE_TRIPS * self._calls.quickest)
        size = self._up.bytes_under_way
        # What is large may take its time on a slow line.
        await asyncio.sleep(size / SLOWEST_BYTES)
        if size and answered == self._calls.answered:
            path.doubt(asyncio.get_running_loop().time())
            raise CarrierError("no POST is answered beside the response down")

    async def _stuck(self) -> None:
        """Raise `SerialPath` where POSTs wait as long as the response down lasts.

        On a path that has let one by, they are only slow.
        """
        while True:
            try:
                await self._calls.stuck()
            except SerialPath:
                answered = self._calls.answered
                await asyncio.sleep(STILL_STUCK_SECONDS)
                if answered == self._calls.answered and not self._pacing.is_parallel:
                    raise

    async def _down(self, feed: Feed) -> None:
        path = f"{self._calls.token}/down"
        request = Request("GET", path, fields=_FIELDS, seconds=HEAD_SECONDS)
        with self._calls.waits():
            await self._stream(request, feed)
        raise CarrierError("the response down has ended")

    async def _stream(self, request: Request, feed: Feed) -> None:
        now = asyncio.get_running_loop().time
        async with self._calls.client.streaming(request) as answer:
            head = answer.head
            if head.status != 200:
                raise status_error("the response down was refused", head.status, head.fields)
            came_at = now()

            def take(data: bytes) -> None:
                nonlocal came_at
                came_at = now()
                feed.receive(data)

            try:
                await answer.pour(take, QUIET_SECONDS)
            except TimeoutError:
                raise CarrierError("nothing comes down any more") from None
            except (StreamError, RemoteProtocolError) as error:
                self._pacing.was_cut(now() - came_at)
                raise CarrierError(f"the response down was cut: {error}") from error
