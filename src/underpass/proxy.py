"""`Proxy`: an HTTP proxy as an object, for `underpass proxy` and for programs of others."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from socket import socket

from underpass.access import Policy
from underpass.errors import ConfigurationError, Failure
from underpass.frontends.http import Authenticator, FrontEndOptions, HttpFrontEnd
from underpass.frontends.http.pool import PoolLimits
from underpass.net.listen import Listener, Service
from underpass.net.relay import RelayTimeouts
from underpass.net.resolve import Lookup
from underpass.net.tls import load_certificate, server_context
from underpass.observe import Observer
from underpass.options import ProxyOptions
from underpass.outbound.guard import Guard
from underpass.outbound.upstream import Upstream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HeadLimits
from underpass.protocol.http.refusal import Refusal, refusal_response
from underpass.served import Served, changed, direct, gate_limits
from underpass.server.user_store import SqliteUserStore
from underpass.server.users import StoreAuthenticator

# What a client over a limit is told to wait, in seconds: about what a burst takes to pass.
RETRY_AFTER = b"2"

# Options that a running proxy can't follow.
RESTART = ("listen", "workers", "metrics", "log", "log_file", "identity")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a program may bring of its own; each None is made from the options.

    `sockets` are listening sockets to use instead of binding `options.listen`; `lookup` resolves
    names instead of the system, in threads: it may block, and raises `OSError`.
    """

    policy: Policy | None = None
    authenticator: Authenticator | None = None
    observer: Observer | None = None
    sockets: Sequence[socket] | None = None
    lookup: Lookup | None = None


class Proxy(Served):
    """An HTTP proxy that runs inside an asyncio program::

        async with Proxy(ProxyOptions(listen=(ListenAddress("127.0.0.1", 0),))) as proxy:
            print(proxy.addresses)
            await asyncio.Event().wait()

    Leaving the block stops accepting, lets exchanges under way finish for at most
    `limits.drain_timeout` seconds, and ends what is left. Raises `ConfigurationError` on entry.
    """

    def __init__(self, options: ProxyOptions, parts: Parts | None = None) -> None:
        self._options = options
        self._parts = parts or Parts()
        super().__init__(options.limits, self._parts.observer)
        self._tls = _tls_context(options)
        self._guard = self._make_guard(options)
        self._front_end = HttpFrontEnd(
            self._guard,
            self.observer,
            _front_end_options(options),
            self._authenticator(options),
        )

    @property
    def urls(self) -> tuple[str, ...]:
        """The same as URLs a client can use as its proxy."""
        scheme = "https" if self._tls else "http"
        return tuple(f"{scheme}://{address}" for address in self._addresses)

    async def __aenter__(self) -> Proxy:
        sockets = self._bound(self._parts.sockets, self._options.listen)
        tasks = await self._tasks.__aenter__()
        service = Service(
            self._front_end.serve, self._gate, self._tls, _shed_answer(self._options.identity)
        )
        self._sweeping = tasks.create_task(self._front_end.sweep(), name="sweep")
        self._listener = Listener(sockets, service, tasks)
        self._listener.start()
        return self

    @property
    def drain_timeout(self) -> float:
        """As the options in force say."""
        return self._options.limits.drain_timeout

    def stop_accepting(self) -> None:
        """Close the listeners, and let clients go that wait between two requests."""
        self._listener.stop()
        self._front_end.drain()

    def end(self) -> None:
        """End every client at once, without draining."""
        self._ended = True
        self._gate.evict_all()
        self._sweeping.cancel()

    async def drain(self, timeout: float) -> None:
        """Wait until every client is gone, for at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._gate.wait_empty()

    def reload(self, options: ProxyOptions) -> list[str]:
        """Go by other options from the next request on; open tunnels are left alone.

        Returns the names of changed options that only a restart can follow. Raises
        `ConfigurationError`, and changes nothing, where `options` can't be followed.
        """
        if (options.tls_cert is None) != (self._tls is None):
            raise ConfigurationError("tls_cert: TLS can't be switched on or off without a restart")
        guard = self._make_guard(options)
        authenticator = self._authenticator(options)
        if self._tls is not None and options.tls_cert and options.tls_key:
            load_certificate(self._tls, options.tls_cert, options.tls_key)
        unfollowed = changed(RESTART, options, self._options)
        self._options = options
        self._gate.limits = gate_limits(options.limits)
        self._guard = guard
        front_end = _front_end_options(options, self._front_end.state.options.pseudonym)
        self._front_end.replace(guard, front_end, authenticator)
        return unfollowed

    def _make_guard(self, options: ProxyOptions) -> Guard:
        way = direct(options.limits, self._parts.lookup)
        outbound = Upstream(options.via, way.open) if options.via else way
        return self._guarded(self._parts.policy or Policy(options.rules), outbound)

    def _authenticator(self, options: ProxyOptions) -> Authenticator | None:
        if self._parts.authenticator is not None or options.auth == "none":
            return self._parts.authenticator
        return StoreAuthenticator(SqliteUserStore(options.state))


def _tls_context(options: ProxyOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None or options.tls_key is None:
        return None
    return server_context(options.tls_cert, options.tls_key)


def _front_end_options(options: ProxyOptions, pseudonym: str | None = None) -> FrontEndOptions:
    limits = options.limits
    return FrontEndOptions(
        identity=options.identity,
        # Random, so that a proxy behind another of the same identity is no loop.
        pseudonym=pseudonym or f"{options.identity}-{secrets.token_hex(4)}",
        head=HeadLimits(section=limits.max_header_bytes, fields=limits.max_header_fields),
        head_timeout=limits.head_timeout,
        keep_alive_timeout=limits.keep_alive_timeout,
        response_timeout=limits.response_timeout or None,
        max_body_bytes=limits.max_body_bytes,
        relay=RelayTimeouts(limits.tunnel_idle_timeout, limits.half_close_timeout),
        pool=PoolLimits(limits.pool_per_destination, limits.pool_idle_timeout),
    )


def _shed_answer(identity: str) -> bytes:
    refusal = Refusal(
        Failure.CONNECTION_LIMIT,
        "this proxy has as many clients as it may",
        Fields([(b"Retry-After", RETRY_AFTER)]),
    )
    return refusal_response(refusal, identity, close=True)
