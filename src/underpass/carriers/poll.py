"""`PollCarrier`: whole, bounded messages alone, for networks that hold back what is not whole.

What goes up goes in POSTs, what comes down in the answers to requests that wait at the server;
several of each are under way at once, over a TCP connection each.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import ClassVar

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.carriers.down import Down
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import new_token
from underpass.carriers.up import Up, first

# The opening message and its answer: the server's work is small, the network's may be slow.
OPEN_SECONDS = 15.0
# The last word is not worth waiting for.
END_SECONDS = 1.0


class PollCarrier(Carrier):
    """See the module. The two pacings outlive the carrier."""

    name: ClassVar[str] = "poll"

    def __init__(self, client: HttpClient, methods: Methods, up: Pacing, down: Pacing) -> None:
        self._client = client
        self._methods = methods
        self._up = up
        self._pacing = down
        self._token = new_token()

    async def open(self, message: bytes) -> bytes:
        method, path = self._methods.begin(self._token)
        request = Request(method, path, message, seconds=OPEN_SECONDS, is_repeatable=False)
        answer = await self._client.exchange(request)
        if answer.status != 200:
            raise answer.error("the server does not answer as one")
        return answer.body

    async def run(self, feed: Feed) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(Up(self._client, self._token, self._up).run(feed))
                tasks.create_task(self._down(feed))
        except* CarrierError as errors:
            raise first(errors) from None
        finally:
            await self._end()

    async def _down(self, feed: Feed) -> None:
        await Down(self._client, self._token, self._methods, self._pacing).run(feed)

    async def _end(self) -> None:
        """Tell the server, if that is quick, and let go of the streams."""
        method, path = self._methods.end(self._token)
        with contextlib.suppress(CarrierError):
            await self._client.exchange(Request(method, path, seconds=END_SECONDS))
        self._client.close()

    def abort(self) -> None:
        self._client.close()
