"""`TunnelServer`: the tunnel's outside end as an object, for `underpass server` and for programs.

::

    Listener ──> Endpoint (HTTP) ──> Reception (the door) ──> Sessions ──> StreamServer ──> Guard
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import TracebackType

from underpass.access import Policy
from underpass.errors import ConfigurationError
from underpass.frontends.http import FrontEndOptions, HttpFrontEnd
from underpass.net.gate import Ticket
from underpass.net.listen import Listener, Service
from underpass.net.relay import RelayTimeouts
from underpass.net.resolve import Lookup
from underpass.net.stream import Stream
from underpass.net.tls import load_certificate, server_context
from underpass.observe import Observer
from underpass.outbound.guard import Guard
from underpass.protocol.hello import Limits
from underpass.protocol.http.head import HTTP_11
from underpass.protocol.noise import public_key
from underpass.served import Served, changed, direct, gate_limits
from underpass.server.carrier_table import CarrierTable
from underpass.server.certificate import own_certificate
from underpass.server.decoy import Decoy
from underpass.server.decoy_folder import FolderDecoy
from underpass.server.decoy_site import SiteDecoy
from underpass.server.endpoint import Endpoint, EndpointOptions
from underpass.server.keys import server_key
from underpass.server.members import Members
from underpass.server.page import page_head, text_page
from underpass.server.reception import CLIENT, Reception, ReceptionOptions
from underpass.server.serving import ServingOptions, StreamServer
from underpass.server.sessions import SessionBounds, Sessions
from underpass.server.sorting import Sorter
from underpass.server.user_store import SqliteUserStore
from underpass.server.users import StoreAuthenticator
from underpass.server.visit import VisitLimits
from underpass.server_options import ServerLimits, ServerOptions

# What each stream may be sent before it is read; the rest is the session's to tune.
INITIAL_WINDOW = 32 * 1024

# How long the ends of sessions may take to reach their clients, once all is over.
FAREWELL_SECONDS = 1.0

# Options that a running server can't follow.
RESTART = ("listen", "metrics", "log", "log_file", "state", "prefix", "proxy", "decoy")


@dataclass(frozen=True, slots=True)
class ServerParts:
    """What a program may bring of its own; each None is made from the options.

    `sockets` are listening sockets to use instead of binding `options.listen`; `lookup` resolves
    names instead of the system, in threads: it may block, and raises `OSError`.
    """

    policy: Policy | None = None
    observer: Observer | None = None
    decoy: Decoy | None = None
    sockets: Sequence[socket] | None = None
    lookup: Lookup | None = None


class TunnelServer(Served):
    """The tunnel's outside end, inside an asyncio program::

        async with TunnelServer(ServerOptions(state=directory)) as server:
            print(server.urls)
            await asyncio.Event().wait()

    Leaving the block takes no more sessions and streams, lets those under way finish for at most
    `limits.drain_timeout` seconds, and ends what is left. Raises `ConfigurationError`.
    """

    def __init__(self, options: ServerOptions, parts: ServerParts | None = None) -> None:
        self._options = options
        self._parts = parts or ServerParts()
        super().__init__(options.limits, self._parts.observer)
        self._tls = _tls_context(options)
        self._decoy = self._parts.decoy or self._make_decoy(options)
        self._key = server_key(options.state)
        store = SqliteUserStore(options.state)
        self._members = Members(store)
        guard = self._make_guard(options)
        self._authenticator = StoreAuthenticator(store)
        # Random, so that a proxy behind another of the same name is no loop.
        self._pseudonym = f"underpass-{secrets.token_hex(4)}"
        self._proxy = HttpFrontEnd(
            guard,
            self.observer,
            _front_end_options(options.limits, self._pseudonym),
            self._authenticator,
        )
        self._streams = StreamServer(
            guard,
            self._members,
            self.observer,
            _serving_options(options.limits),
        )

    @property
    def urls(self) -> tuple[str, ...]:
        """The same as URLs for invites, where clients can reach these addresses as they are."""
        scheme = "https" if self._tls else "http"
        return tuple(f"{scheme}://{address}{self._options.prefix}" for address in self._addresses)

    @property
    def public_key(self) -> bytes:
        """The key that invites name."""
        return public_key(self._key)

    @property
    def session_count(self) -> int:
        """How many sessions are held, with or without a carrier."""
        return len(self._sessions)

    async def __aenter__(self) -> TunnelServer:
        sockets = self._bound(self._parts.sockets, self._options.listen)
        tasks = await self._tasks.__aenter__()
        counters = self.observer.counters
        limits = self._options.limits
        self._sessions = Sessions(self._streams, tasks, _session_bounds(limits), counters)
        clock = asyncio.get_running_loop().time
        options = ReceptionOptions(
            self._key, _allowed(limits), hellos=limits.max_hellos_per_client, counters=counters
        )
        self._reception = Reception(options, self._members, self._sessions, clock)
        door = self._reception.receive
        self._table = CarrierTable(door, tasks)
        self._endpoint = Endpoint(door, self._table, _endpoint_options(self._options), self._decoy)
        self._watching = [
            tasks.create_task(self._sessions.watch(self._members), name="watch"),
            tasks.create_task(self._proxy.sweep(), name="sweep"),
        ]
        handler = self._serve
        if self._options.proxy:
            handler = Sorter(self._serve, self._proxy.serve, limits.head_timeout).serve
        self._listener = Listener(
            sockets, Service(handler, self._gate, self._tls, _shed_answer()), tasks
        )
        self._listener.start()
        return self

    async def _serve(self, stream: Stream, ticket: Ticket) -> None:
        CLIENT.set(ticket.client)
        await self._endpoint.serve(stream, ticket)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self._members.close()

    @property
    def drain_timeout(self) -> float:
        """As the options in force say."""
        return self._options.limits.drain_timeout

    def stop_accepting(self) -> None:
        """Take no more sessions and streams. Carriers still come: those that are left need them."""
        self._reception.is_draining = True
        self._sessions.go_away()
        self._proxy.drain()

    async def drain(self, timeout: float) -> None:
        """Wait until every session is over, for at most `timeout` seconds, and end the others."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._sessions.wait_empty()
                self._listener.stop()
                self._endpoint.drain()
                if self._options.proxy:
                    await self._gate.wait_empty()
        self._sessions.abort_all()
        self._listener.stop()
        self._endpoint.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._gate.wait_empty()

    def end(self) -> None:
        """End everything at once, without draining."""
        self._ended = True
        self._listener.stop()
        for task in self._watching:
            task.cancel()
        self._sessions.abort_all()
        self._table.end("the server has ended")
        self._gate.evict_all()

    def reload(self, options: ServerOptions) -> list[str]:
        """Go by other options from the next open and session on; what is open is left alone.

        Returns the names of changed options that only a restart can follow. Raises
        `ConfigurationError`, and changes nothing, where `options` can't be followed.
        """
        if options.is_tls != (self._tls is not None):
            raise ConfigurationError("tls: it can't be switched on or off without a restart")
        guard = self._make_guard(options)
        if self._tls is not None:
            load_certificate(self._tls, *_certificate(options))
        unfollowed = changed(RESTART, options, self._options)
        self._options = options
        self._gate.limits = gate_limits(options.limits)
        self._sessions.bounds = _session_bounds(options.limits)
        self._reception.allowed = _allowed(options.limits)
        self._reception.hellos.rate = options.limits.max_hellos_per_client
        self._streams.replace(guard, _serving_options(options.limits))
        self._proxy.replace(
            guard, _front_end_options(options.limits, self._pseudonym), self._authenticator
        )
        return unfollowed

    def _make_guard(self, options: ServerOptions) -> Guard:
        policy = self._parts.policy or Policy(options.rules)
        return self._guarded(policy, direct(options.limits, self._parts.lookup))

    def _make_decoy(self, options: ServerOptions) -> Decoy | None:
        if isinstance(options.decoy, str):
            return SiteDecoy(options.decoy, direct(options.limits, self._parts.lookup).open)
        return FolderDecoy(options.decoy) if options.decoy is not None else None


def _certificate(options: ServerOptions) -> tuple[Path, Path]:
    if options.tls_cert is not None and options.tls_key is not None:
        return options.tls_cert, options.tls_key
    both = own_certificate(options.state)
    return both, both


def _tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    return server_context(*_certificate(options)) if options.is_tls else None


def _session_bounds(limits: ServerLimits) -> SessionBounds:
    return SessionBounds(limits.max_sessions, limits.max_sessions_per_user)


def _serving_options(limits: ServerLimits) -> ServingOptions:
    relay = RelayTimeouts(limits.tunnel_idle_timeout, limits.half_close_timeout)
    return ServingOptions(relay, limits.max_streams_per_user)


def _front_end_options(limits: ServerLimits, pseudonym: str) -> FrontEndOptions:
    return FrontEndOptions(
        pseudonym=pseudonym,
        head_timeout=limits.head_timeout,
        keep_alive_timeout=limits.keep_alive_timeout,
        relay=RelayTimeouts(limits.tunnel_idle_timeout, limits.half_close_timeout),
    )


def _allowed(limits: ServerLimits) -> Limits:
    return Limits(
        initial_window=INITIAL_WINDOW,
        streams=limits.max_streams_per_session,
        grace=limits.session_grace,
        keepalive=round(limits.session_keepalive * 1000),
    )


def _endpoint_options(options: ServerOptions) -> EndpointOptions:
    limits = options.limits
    visit = VisitLimits(
        head_timeout=limits.head_timeout, keep_alive_timeout=limits.keep_alive_timeout
    )
    return EndpointOptions(options.prefix, visit)


def _shed_answer() -> bytes:
    """What a connection over a limit is told, as any site would."""
    page = text_page(503)
    return page_head(page, HTTP_11, keep=False) + (
        page.body if isinstance(page.body, bytes) else b""
    )
