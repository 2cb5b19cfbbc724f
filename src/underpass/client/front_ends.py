"""`FrontEnds`: the listeners of a client, each with the front end that serves what it accepts."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
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
from underpass.net.gate import Gate, GateLimits
from underpass.net.listen import Handler, Listener, Service, bind, listening_on
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Dial
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


class FrontEnds:
    """See the module. Raises `ConfigurationError` on entry; leaving ends every client at once.

    `early` is the same dial for front ends whose clients may speak before they are answered.
    """

    def __init__(
        self,
        listeners: Listeners,
        dial: Dial,
        observer: Observer,
        early: EarlyDial | None = None,
    ) -> None:
        self._listeners = listeners
        self._dial = dial
        self._early = early
        self._observer = observer
        self._gate = Gate(GateLimits(unsettled=MAX_UNSETTLED), observer.counters)
        self._tasks = asyncio.TaskGroup()
        self._started: list[Listener] = []
        self.listening: tuple[Listening, ...] = ()
        login = listeners.login
        self._socks = SocksFrontEnd(dial, observer, login.socks if login else None, early)
        # Random, so that one client behind another is no loop.
        options = FrontEndOptions(pseudonym=f"underpass-{secrets.token_hex(4)}")
        self._http = HttpFrontEnd(TunnelOutbound(dial), observer, options, login)

    async def __aenter__(self) -> FrontEnds:
        bound = self._bind()
        self.listening = tuple(
            Listening(scheme, listening_on(sock), target) for sock, scheme, target, _ in bound
        )
        tasks = await self._tasks.__aenter__()
        self._sweeping = tasks.create_task(self._http.sweep(), name="sweep")
        for sock, _, _, handler in bound:
            listener = Listener([sock], Service(handler, self._gate), tasks)
            listener.start()
            self._started.append(listener)
        return self

    def _bind(self) -> list[tuple[socket, str, Address | None, Handler]]:
        bound: list[tuple[socket, str, Address | None, Handler]] = []
        try:
            for address in self._listeners.socks:
                bound += [(sock, "socks5", None, self._socks.serve) for sock in bind(address)]
            for address in self._listeners.http:
                bound += [(sock, "http", None, self._http.serve) for sock in bind(address)]
            for one in self._listeners.forward:
                front_end = ForwardFrontEnd(self._dial, one.target, self._observer, self._early)
                bound += [(sock, "forward", one.target, front_end.serve) for sock in bind(one.listen)]
        except ConfigurationError:
            for sock, *_ in bound:
                sock.close()
            raise
        return bound

    @property
    def client_count(self) -> int:
        """How many clients are being served."""
        return len(self._gate)

    def stop_accepting(self) -> None:
        """Close the listeners, and let HTTP clients go that wait between two requests."""
        for listener in self._started:
            listener.stop()
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
