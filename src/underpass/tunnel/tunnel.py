"""`Tunnel`: one end of a tunnel, for whoever opens and accepts streams; both ends are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from underpass.address import Address
from underpass.carriers.base import CarrierError, RunCarrier
from underpass.net.early import EarlyData
from underpass.net.stream import Stream
from underpass.protocol.frames import CloseCode
from underpass.protocol.session import Session
from underpass.protocol.session_events import SessionClosed
from underpass.tunnel.driver import CarrierEvent, SessionDriver
from underpass.tunnel.offer import Offer
from underpass.tunnel.pulse import Pulse


class Tunnel:
    """See the module. `open` is a dial; `accept` is for streams that the other end asks for.

    `watch` is told what concerns the carriers. The tunnel ends with its session: `closed` says how.
    """

    def __init__(
        self, session: Session, watch: Callable[[CarrierEvent], None] | None = None
    ) -> None:
        self.session = session
        self._driver = SessionDriver(session, self._carrier_event)
        self._watch = watch
        self._closed: asyncio.Future[SessionClosed] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Tunnel {self.session}>"

    @property
    def stream_count(self) -> int:
        """How many streams the applications of this end hold."""
        return self._driver.stream_count

    @property
    def delay(self) -> float:
        """The round-trip time of the session in seconds, smoothed."""
        return self.session.streams.delay

    @property
    def is_idle(self) -> bool:
        """Whether the session has no streams."""
        return not len(self.session.streams)

    @property
    def is_closed(self) -> bool:
        """Whether the session is over."""
        return self._closed.done()

    def open(self, address: Address, early: EarlyData | None = None) -> Coroutine[Any, Any, Stream]:
        """Open a stream to `address` at the other end. Raises `DialError` with its reason.

        What comes `early` goes with the question.
        """
        return self._driver.open(address, early=early)

    async def accept(self) -> Offer:
        """Return the next stream that the other end asks for; wait for one until then."""
        return await self._driver.offers.get()

    async def carry(self, number: int, run: RunCarrier, pulse: Pulse | None = None) -> CarrierError:
        """Run a carrier that the session has begun or attached until it ends; returns why.

        Its `pulse` hears what is sent over it, and what of the session's comes.
        """
        feed = self._driver.feed(number, pulse)
        self._driver.settle()
        try:
            await run(feed)
        except CarrierError as error:
            return error
        finally:
            if pulse is not None:
                pulse.stop()
            self._driver.drop_carrier(number)
        return CarrierError("the carrier has ended")

    def ask(self, number: int) -> None:
        """Have the other end answer over a carrier, soon."""
        self.session.lower_keepalive(number, self.session.terms.keepalive)
        self.settle()

    async def closed(self) -> SessionClosed:
        """Return how the session ended; wait for it until then."""
        return await asyncio.shield(self._closed)

    def close(self) -> None:
        """End the session once its streams have ended and all has been delivered."""
        self.session.close()
        self._driver.settle()

    def abort(self, code: CloseCode, reason: str) -> None:
        """End the session at once; streams are reset, and the other end is told if it can."""
        self.session.abort(code, reason)
        self._driver.settle()

    def settle(self) -> None:
        """Bring everything up to date, after a call to the session itself."""
        self._driver.settle()

    def _carrier_event(self, event: CarrierEvent) -> None:
        if isinstance(event, SessionClosed) and not self._closed.done():
            self._closed.set_result(event)
        if self._watch is not None:
            self._watch(event)
