"""`Middlebox`: a hostile proxy, or an inline box, on loopback."""

from __future__ import annotations

import asyncio
from types import TracebackType

from underpass.address import Address, ListenAddress
from underpass.errors import RemoteProtocolError, StreamError
from underpass.net.connect import connect_tcp
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.listen import Listener, Service, bind, listening_on
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.testing.middlebox.behaviour import Behaviour
from underpass.testing.middlebox.conversation import BoxConversation, Ended, Inside
from underpass.testing.middlebox.limits import Limited
from underpass.testing.middlebox.pump import side
from underpass.testing.middlebox.state import BoxState, Record

CONNECT_SECONDS = 10.0
# More than any test opens.
MAX_STREAMS = 4096


class Middlebox:
    """Serves while its block is entered::

        async with Middlebox(Behaviour(connect=Connect.REFUSED)) as box:
            print(box.url)

    Without `inline` it is an HTTP proxy. With it, an inline box in front of that address: clients
    take it for the server, and where it `opens_tls`, it is one of TLS to them and a client of TLS
    to the server. `seed` decides what is left to chance.
    """

    def __init__(self, behaviour: Behaviour, inline: Address | None = None, seed: int = 0) -> None:
        self._tasks = asyncio.TaskGroup()
        self._state = BoxState(behaviour, self._dial, seed, self._tasks)
        self._inline = Inside(inline, is_tls=behaviour.opens_tls) if inline is not None else None
        self._gate = Gate(GateLimits(total=MAX_STREAMS, per_client=0, unsettled=MAX_STREAMS))

    @property
    def record(self) -> Record:
        """What it has seen."""
        return self._state.record

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves; may be replaced at any time."""
        return self._state.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._state.behaviour = behaviour

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address.of("127.0.0.1", self._port)

    @property
    def url(self) -> str:
        """The same as a proxy's URL."""
        return f"http://{self.address}"

    @property
    def authority(self) -> bytes:
        """The certificate, as PEM, of the authority that it opens TLS with."""
        return self._state.authority.pem

    def cut_all(self) -> None:
        """Reset every stream that goes through it now."""
        self._gate.evict_all()

    async def __aenter__(self) -> Middlebox:
        tasks = await self._tasks.__aenter__()
        sockets = bind(ListenAddress("127.0.0.1", 0))
        self._port = listening_on(sockets[0]).port
        inline = self._inline
        is_tls = inline is not None and inline.is_tls
        tls = self._state.authority.context("127.0.0.1") if is_tls else None
        self._listener = Listener(sockets, Service(self._serve, self._gate, tls), tasks)
        self._listener.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.stop()
        self._gate.evict_all()
        self._state.end()
        await self._tasks.__aexit__(None, None, None)

    async def _dial(self, address: Address) -> Stream:
        ip = address.ip
        literal = ip if ip is not None else Address.of("127.0.0.1", address.port).ip
        if literal is None:
            raise ValueError("no literal address")
        return await connect_tcp(literal, address.port, CONNECT_SECONDS)

    async def _serve(self, stream: TransportStream, ticket: Ticket) -> None:
        ticket.settled()
        behaviour = self._state.behaviour
        limited = Limited(stream, behaviour.idle_limit)
        try:
            async with asyncio.timeout(behaviour.life_limit or None):
                async with side(limited, self._state.down, self._state) as client:
                    await BoxConversation(self._state, client, self._inline).run()
        except (TimeoutError, Ended, StreamError, RemoteProtocolError):
            self._state.record.resets += 1
            stream.abort()
