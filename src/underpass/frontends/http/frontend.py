"""`HttpFrontEnd`: serves HTTP proxy clients over whatever outbound it is given."""

from __future__ import annotations

import logging

from underpass.frontends.http.authentication import Authenticator
from underpass.frontends.http.conversation import Conversation
from underpass.frontends.http.pool import Pool
from underpass.frontends.http.state import FrontEndOptions, FrontEndState, Outbound
from underpass.net.gate import Ticket
from underpass.net.stream import Stream
from underpass.observe import Observer

logger = logging.getLogger(__name__)


class HttpFrontEnd:
    """Answers CONNECT and forwards ordinary requests; hand each accepted stream to `serve`.

    Authorisation happens in `outbound`, at every tunnel and every request.
    """

    def __init__(
        self,
        outbound: Outbound,
        observer: Observer,
        options: FrontEndOptions | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        options = options or FrontEndOptions()
        self.state = FrontEndState(outbound, observer, options, authenticator, Pool(options.pool))
        self._conversations: set[Conversation] = set()

    async def serve(self, stream: Stream, ticket: Ticket) -> None:
        """Serve one client until either end has had enough. Raises nothing but cancellation."""
        conversation = Conversation(self.state, stream, ticket)
        self._conversations.add(conversation)
        try:
            await conversation.run()
        except Exception:
            # The one broad catch of this task: a bug ends this client's stream, nobody else's.
            logger.exception("the conversation with %s failed", ticket.client)
            await conversation.fail()
        finally:
            self._conversations.discard(conversation)

    def replace(
        self,
        outbound: Outbound,
        options: FrontEndOptions,
        authenticator: Authenticator | None,
    ) -> None:
        """Use other parts from the next request on; kept streams are let go."""
        self.state.outbound = outbound
        self.state.use(options, authenticator)
        self.state.generation += 1
        self.state.pool.limits = options.pool
        self.state.pool.clear()

    def drain(self) -> None:
        """Let exchanges under way finish; clients that wait between requests are let go."""
        self.state.draining = True
        for conversation in self._conversations:
            conversation.drain()
        self.state.pool.clear()

    async def sweep(self) -> None:
        """Let go of kept streams as they age, for ever: run it beside the listeners."""
        await self.state.pool.sweep()
