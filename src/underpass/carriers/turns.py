"""`Turns`: when to ask for what has come down, where one request at a time goes through.

A request that waits at the server keeps what is to go up from going. So while an application moves
anything, requests do not wait there; between two of them is a moment for something to go up, which
becomes longer until nothing more is expected.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from underpass.carriers.base import Feed
from underpass.carriers.pacing import SERIAL_HOLD_SECONDS
from underpass.net.clock import TimeLimit

# After a request that brought something: an application nearby answers it in less, and a transfer,
# which nobody answers, loses little by it.
ANSWER_SECONDS = 0.02
# After the first that brought nothing, and twice as long after each further one. When that would be
# longer than the last, requests wait at the server again: that is a second and a half later.
FIRST_SECONDS = 0.05
LAST_SECONDS = 0.8

# On a path that another kind has just doubted, requests take turns for so long: the tunnel stands,
# and what is asked for first comes, before it is tried whether they need to.
CAREFUL_SECONDS = 3.0


async def take_turns(
    feed: Feed,
    until: float,
    send: Callable[[Feed], Awaitable[bool]],
    ask: Callable[[Feed, float], Awaitable[int]],
) -> None:
    """Send, and ask, one request after the other; until then, by the loop's clock.

    `send` says whether there was anything. `ask` is told for how many seconds its request may wait
    at the server, and says how many bytes that has brought. Raises as they, and as `Feed.output`.
    """
    now = asyncio.get_running_loop().time
    turns = Turns()
    while now() < until:
        if await send(feed):
            turns.moved()
        turns.came(await ask(feed, turns.hold))
        await turns.moment(feed)


class Turns:
    """See the module; of one carrier."""

    __slots__ = ("_moment",)

    def __init__(self) -> None:
        self._moment = 2 * LAST_SECONDS

    def moved(self) -> None:
        """Something has gone up."""
        self._moment = ANSWER_SECONDS

    def came(self, size: int) -> None:
        """A request has brought so many bytes down."""
        self._moment = max(FIRST_SECONDS, 2 * self._moment) if not size else ANSWER_SECONDS

    @property
    def hold(self) -> float:
        """For how many seconds the next request may wait at the server."""
        return 0.0 if self._moment <= LAST_SECONDS else SERIAL_HOLD_SECONDS

    async def moment(self, feed: Feed) -> None:
        """Wait a little for something to go up. Raises as `Feed.output`."""
        if not self.hold:
            with contextlib.suppress(TimeoutError), TimeLimit(self._moment):
                await feed.output()
