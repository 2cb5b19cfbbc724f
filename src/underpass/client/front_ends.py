"""`FrontEnds`: the listeners of a client, each with the front end that serves what it accepts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from socket import socket
from types import TracebackType

from underpass.access import Principal
from underpass.address import Address, ListenAddress
from underpass.client.login import ClientLogin
from underpass.client_options import Forward
from underpass.errors import ConfigurationError
from underpass.frontends.forward import ForwardFrontEnd
from underpass.frontends.http import FrontEndOptions, HttpFrontEnd
from underpass.frontends.socks import SocksFrontEnd
from underpass.net.early import EarlyDial
from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.net.listen import Handler, Listener, Service, bind, listening_on
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Dial
from underpass.net.transport import TransportStream
from underpass.observe import Observer

# Local programs; what has not sent its request yet makes room at this number.
MAX_UNSETTLED = 1000


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a front end of a kind (``socks5``, ``http``, ``forward``) really listens."""

    scheme: str
    address: ListenAddress
    target: Address | None = None

    @property
    def url(self) -> str:
        """Such as ``socks5://127.0.0.1:1080``."""
        return f"{self.scheme}://{self.address}"

    def __str__(self) -> str:
        return self.url if self.target is None else f"{self.url} -> {self.target}"


class TunnelOutbound:
    """Everything goes through one dial: the far end decides who may open what."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    def dial_as(self, principal: Principal) -> Dial:
        """The dial of everybody."""
        return self._dial

    def route_for(self, principal: Principal, address: Address) -> Route:
        """A plain request goes over a stream to its origin."""
        return StreamRoute(self._dial, address)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where to listen, and the login that SOCKS and HTTP clients must give, if any."""

    socks: Sequence[ListenAddress] = ()
    http: Sequence[ListenAddress] = ()
    forward: Sequence[Forward] = ()
    login: ClientLogin | None = None


class _Entrance:
    """A listener, and what becomes of who comes in by it: that may change while it listens."""

    def __init__(self, wanted: _Wanted, socks: Sequence[socket]) -> None:
        self.wanted = wanted
        self.sockets = socks
        self.places = tuple(map(listening_on, socks))
        self.listener: Listener | None = None

    def serve(self, stream: TransportStream, ticket: Ticket) -> Awaitable[None]:
        """Serve who comes in, as is wanted by then."""
        return self.wanted.serve(stream, ticket)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to listen where; `address` is as it was given, `serve` what serves its clients."""

    scheme: str
    address: ListenAddress
    target: Address | None
    serve: Handler


class FrontEnds:
    """See the module. Raises `ConfigurationError` on entry; leaving ends every client at once.

    `early` is the same dial for front ends whose clients may speak before they are answered.
    """

    def __init__(
        self, listeners: Listeners, dial: Dial, observer: Observer, early: EarlyDial | None = None
    ) -> None:
        self._listeners = listeners
        self._dial = dial
        self._early = early
        self._observer = observer
        self._gate = Gate(GateLimits(unsettled=MAX_UNSETTLED), observer.counters)
        self._tasks = asyncio.TaskGroup()
        self._entrances: list[_Entrance] = []
        self._socks = self._socks_for(listeners.login)
        # Random, so that one client behind another is no loop.
        self._options = FrontEndOptions(pseudonym=f"underpass-{secrets.token_hex(4)}")
        outbound = TunnelOutbound(dial)
        self._http = HttpFrontEnd(outbound, observer, self._options, listeners.login)

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Where each kind really listens."""
        return tuple(
            Listening(one.wanted.scheme, place, one.wanted.target)
            for one in self._entrances
            for place in one.places
        )

    async def __aenter__(self) -> FrontEnds:
        wanted = self._wanted(self._listeners)
        self._entrances = _bound(wanted)
        await self._tasks.__aenter__()
        self._sweeping = self._tasks.create_task(self._http.sweep(), name="sweep")
        self._start()
        return self

    def _wanted(self, listeners: Listeners) -> list[_Wanted]:
        wanted = [_Wanted("socks5", one, None, self._serve_socks) for one in listeners.socks]
        wanted += [_Wanted("http", one, None, self._http.serve) for one in listeners.http]
        for one in listeners.forward:
            serve = ForwardFrontEnd(self._dial, one.target, self._observer, self._early).serve
            wanted.append(_Wanted("forward", one.listen, one.target, serve))
        return wanted

    def _socks_for(self, login: ClientLogin | None) -> SocksFrontEnd:
        own = login.socks if login else None
        return SocksFrontEnd(self._dial, self._observer, own, self._early)

    def _serve_socks(self, stream: TransportStream, ticket: Ticket) -> Awaitable[None]:
        return self._socks.serve(stream, ticket)

    def _start(self) -> None:
        for one in self._entrances:
            if one.listener is None:
                one.listener = Listener(one.sockets, Service(one.serve, self._gate), self._tasks)
                one.listener.start()

    def replace(self, listeners: Listeners) -> None:
        """Listen as `listeners` say from now on; who has come in already is left alone.

        Raises `ConfigurationError`, and changes nothing, where a listener can't be had.
        """
        left = list(self._entrances)
        kept: list[tuple[_Entrance, _Wanted]] = []
        new: list[_Wanted] = []
        for wanted in self._wanted(listeners):
            # What becomes of who comes in may be another; the place is the same.
            same = [one for one in left if one.wanted.address == wanted.address]
            same.sort(key=lambda one: one.wanted.scheme != wanted.scheme)
            if not same:
                new.append(wanted)
                continue
            left.remove(same[0])
            kept.append((same[0], wanted))
        bound = _bound(new)
        for one in left:
            if one.listener is not None:
                one.listener.stop()
        for one, wanted in kept:
            one.wanted = wanted
        self._entrances = [one for one, _ in kept] + bound
        if listeners.login != self._listeners.login:
            self._socks = self._socks_for(listeners.login)
            self._http.replace(TunnelOutbound(self._dial), self._options, listeners.login)
        self._listeners = listeners
        self._start()

    @property
    def client_count(self) -> int:
        """How many clients are being served."""
        return len(self._gate)

    def stop_accepting(self) -> None:
        """Close the listeners, and let HTTP clients go that wait between two requests."""
        for one in self._entrances:
            if one.listener is not None:
                one.listener.stop()
        self._http.drain()

    async def drain(self, timeout: float) -> None:
        """Wait until every client is gone, for at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._gate.wait_empty()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_accepting()
        self._gate.evict_all()
        self._sweeping.cancel()
        await self._tasks.__aexit__(None, None, None)


def _bound(wanted: Sequence[_Wanted]) -> list[_Entrance]:
    """Bind all of these, or none. Raises `ConfigurationError`."""
    entrances: list[_Entrance] = []
    try:
        entrances.extend(_Entrance(one, bind(one.address)) for one in wanted)
    except ConfigurationError:
        for entrance in entrances:
            for sock in entrance.sockets:
                sock.close()
        raise
    return entrances
