"""`ForwardFrontEnd`: every client of a listener goes to one address, as with ``ssh -L``."""

from __future__ import annotations

import logging

from underpass.address import Address
from underpass.errors import DialError, StreamError
from underpass.frontends.base import Visit, VisitRelay
from underpass.net.early import EarlyData, EarlyDial, without_early
from underpass.net.gate import Ticket
from underpass.net.stream import Dial, Stream
from underpass.observe import Observer

logger = logging.getLogger(__name__)

METHOD = "FORWARD"
SUCCEEDED = 200


class ForwardFrontEnd:
    """See the module; hand each accepted stream to `serve`.

    There is no protocol in which a failure could be told: the client's stream is reset. What the
    client says meanwhile goes with the question where the dial can do that (`early`).
    """

    def __init__(
        self, dial: Dial, address: Address, observer: Observer, early: EarlyDial | None = None
    ) -> None:
        self._dial = early or without_early(dial)
        self._address = address
        self._observer = observer
        self._relay = VisitRelay(observer)

    async def serve(self, stream: Stream, ticket: Ticket) -> None:
        """Serve one client until its stream ends. Raises nothing but cancellation."""
        ticket.settled()
        visit = Visit(METHOD, ticket.client, address=str(self._address))
        try:
            early = EarlyData(stream)
            destination = await self._dial(self._address, early)
            visit.status = SUCCEEDED
            await self._relay.relay(visit, ticket, stream, destination, early.sent)
        except DialError as error:
            visit.status = error.failure.status
            visit.reason = str(error)
            self._observer.counters.refused(error.failure)
            logger.warning("forward to %s: %s", self._address, error)
            stream.abort()
        except StreamError as error:
            visit.reason = str(error)
            stream.abort()
        finally:
            self._relay.left(visit, ticket)
