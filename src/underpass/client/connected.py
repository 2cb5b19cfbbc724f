"""`connect`: a tunnel for a program::

async with underpass.connect(invite) as tunnel:
    stream = await tunnel.open("db.internal", 5432)
    reader, writer = await tunnel.open_connection("db.internal", 5432)
    httpx.AsyncClient(proxy=tunnel.proxy_url)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import weakref
from types import TracebackType

from underpass.address import Address, ListenAddress
from underpass.client import profile as profiles
from underpass.client.asyncio_stream import reader_and_writer
from underpass.client.front_ends import FrontEnds, Listeners
from underpass.client.login import ClientLogin
from underpass.client.profile import Profile
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import ClientOptions, Through
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.stream import Stream
from underpass.observe import Observer
from underpass.tunnel.keeper import TunnelDown, TunnelUp

# How long entering waits for the tunnel, unless told.
CONNECT_SECONDS = 30.0

_USER = "underpass"


def connect(
    invite: str | None = None,
    *,
    profile: str | None = None,
    via: str | None = None,
    options: ClientOptions | None = None,
    timeout: float = CONNECT_SECONDS,
) -> ConnectedTunnel:
    """A tunnel to the server of `invite`, or of the profile with the name `profile`.

    `via` is how to go out: ``auto``, ``none`` or URLs of proxies with commas between;
    all else that a client can be told is in `options`, but for where to listen. Entering it raises
    `ConfigurationError`, `HandshakeRefused` with the server's reason, or `DialError` where no
    carrier has worked within `timeout` seconds.
    """
    options = options or ClientOptions()
    if via is not None:
        try:
            options = dataclasses.replace(options, via=Through.parse(via))
        except ValueError as error:
            raise ConfigurationError(f"via: {error}") from None
    return ConnectedTunnel(_profile(invite, profile, options), Passage.of(options), timeout)


def _profile(invite: str | None, name: str | None, options: ClientOptions) -> Profile:
    if invite is not None:
        if name is not None:
            raise ConfigurationError("an invite and a profile: use one of them")
        return profiles.without_profile(profiles.parse_invite(invite), options.state)
    folder = profiles.profiles_folder()
    path = profiles.only_profile(folder) if name is None else profiles.path_of(name, folder)
    return profiles.load(path)


class ConnectedTunnel:
    """See `connect`. Leaving the block ends the session and every stream."""

    def __init__(self, profile: Profile, passage: Passage, timeout: float) -> None:
        self._timeout = timeout
        self._reasons: tuple[str, ...] = ()
        self._tunnel = ClientTunnel(profile, passage, self._heard)
        login = ClientLogin(_USER, secrets.token_urlsafe(16))
        self._login = login
        listeners = Listeners(http=(ListenAddress("127.0.0.1", 0),), login=login)
        self._front_ends = FrontEnds(listeners, self._tunnel.open, Observer(), self._tunnel.open)
        self._tasks = asyncio.TaskGroup()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()
        self._stack = contextlib.AsyncExitStack()

    def _abort_streams(self) -> None:
        """What was not closed within the block ends with it."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _heard(self, event: TunnelUp | TunnelDown) -> None:
        if isinstance(event, TunnelDown):
            self._reasons = event.reasons

    async def __aenter__(self) -> ConnectedTunnel:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._tunnel)
            await self._until_up()
            await stack.enter_async_context(self._front_ends)
            await stack.enter_async_context(self._tasks)
            stack.callback(self._abort_streams)
            self._stack = stack.pop_all()
        return self

    async def _until_up(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._tunnel.up()
        except TimeoutError:
            details = "; ".join(self._reasons) or f"nothing has worked for {self._timeout:g} s"
            raise DialError(Failure.TUNNEL_DOWN, details) from None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Without the error: it is the caller's own, and goes on as it is.
        await self._stack.__aexit__(None, None, None)

    @property
    def proxy_url(self) -> str:
        """An HTTP proxy on this machine whose traffic goes through the tunnel.

        It holds a password that is made anew for each tunnel: nobody else on this machine gets in.
        """
        address = self._front_ends.listening[0].address
        return f"http://{self._login.user}:{self._login.password}@{address}"

    @property
    def carrier(self) -> str | None:
        """Over what the tunnel is up now, such as ``websocket, direct``; None while it is not."""
        return self._tunnel.keeper.carrier

    @property
    def delay(self) -> float:
        """The round-trip time in seconds, smoothed."""
        return self._tunnel.keeper.delay

    async def open(self, host: str, port: int) -> Stream:
        """Open a stream to `host`, as seen from the server.

        Raises `DialError` with the far end's reason, and `ValueError` for what is no address.
        """
        return await self._tunnel.open(Address.of(host, port))

    async def open_connection(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The same as `asyncio.open_connection` returns it. Raises as `open` does."""
        reader, writer = reader_and_writer(await self.open(host, port), self._tasks)
        self._writers.add(writer)
        return reader, writer
