"""`PostingCarrier`: what `poll` and `stream` share, which is all but the way down.

They begin with a PUT, send up in POSTs, and end with a DELETE, or what stands for those.
"""

from __future__ import annotations

import abc

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.carriers.calls import Calls, side_by_side
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.methods import REFUSED_METHOD, REPLACEABLE, Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import new_token
from underpass.carriers.up import Up

# The opening message and its answer: the server's work is small, the network's may be slow.
OPEN_SECONDS = 15.0


class PostingCarrier(Carrier):
    """See the module. `pacing` outlives the carrier."""

    def __init__(self, client: HttpClient, methods: Methods, pacing: Pacing) -> None:
        self._methods = methods.without(*pacing.refused)
        self._pacing = pacing
        self._calls = Calls(client, new_token(), pacing)
        self._up = Up(self._calls)

    async def open(self, message: bytes) -> bytes:
        try:
            return await self._begin(message)
        except CarrierError as error:
            # Where PUT is refused, DELETE will be.
            fewer = self._methods.without(*REPLACEABLE)
            if error.status not in REFUSED_METHOD or fewer == self._methods:
                raise
            self._methods = fewer
        answer = await self._begin(message)
        self._pacing.refused |= REPLACEABLE
        return answer

    async def _begin(self, message: bytes) -> bytes:
        method, path = self._methods.begin(self._calls.token)
        request = Request(method, path, message, seconds=OPEN_SECONDS, is_repeatable=False)
        return (await self._calls.once(request)).body

    async def run(self, feed: Feed) -> None:
        if self._pacing.idle_limit is not None:
            feed.lower_keepalive(self._pacing.idle_limit)
        try:
            await self._carry(feed)
        finally:
            await self._calls.end(self._methods)

    async def _carry(self, feed: Feed) -> None:
        """Move bytes both ways until the carrier ends. Raises `CarrierError` for every end."""
        await side_by_side(self._up.run(feed), self._down(feed))

    @abc.abstractmethod
    async def _down(self, feed: Feed) -> None:
        """Bring what comes down to `feed`. Raises `CarrierError` for every end."""

    def abort(self) -> None:
        self._calls.client.close()
