"""A tunnel's server, with and without TLS, a destination behind it, and clients through boxes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import urllib.parse
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix.destination import destination
from underpass.access import Effect, Rule
from underpass.address import ListenAddress
from underpass.carriers.methods import Methods
from underpass.carriers.server_url import ServerUrl
from underpass.client.makers import makers
from underpass.errors import ConfigurationError
from underpass.net.resolve import Resolver
from underpass.outbound.direct import Direct
from underpass.outbound.server_tls import ServerTls, TlsSeen, Trust
from underpass.outbound.via import Chain, Via
from underpass.outbound.ways import Ways
from underpass.protocol.invite import Invite
from underpass.server.invites import InviteTerms, make_invite
from underpass.server_options import ServerLimits, ServerOptions
from underpass.tunnel.greeting import ClientIdentity, Greeter
from underpass.tunnel.keeper import Keeper, TunnelDown, TunnelEvent, TunnelUp
from underpass.tunnel_server import TunnelServer

LOOPBACK = (Rule.parse(Effect.ALLOW, "127.0.0.0/8"),)
# Everybody of a matrix comes from one address, as one user, at once.
LIMITS = ServerLimits(
    drain_timeout=0, max_unauthenticated=4096, max_sessions_per_user=4096, max_sessions=4096
)
CLIENTS = 4096


@dataclass(frozen=True)
class Entrance:
    """How a client comes to a server: the invite, and what it is told of the way."""

    invite: Invite
    carrier: str = "auto"
    methods: Methods = Methods()  # noqa: RUF009 - immutable
    url: str = ""
    via: str = ""
    login: str = ""
    authorities: Path | None = None


@dataclass
class Client:
    """A client's tunnel, and what it has told."""

    keeper: Keeper
    ups: list[str]
    reasons: list[str] = field(default_factory=list)
    seen: list[TlsSeen] = field(default_factory=list)
    fell: asyncio.Event = field(default_factory=asyncio.Event)

    def down(self, event: TunnelDown) -> None:
        self.reasons = list(event.reasons)
        self.fell.set()


@contextlib.asynccontextmanager
async def client(entrance: Entrance) -> AsyncIterator[Client]:
    """A client, for as long as the block."""
    heard: list[Client] = []

    def tell(event: TunnelEvent) -> None:
        if isinstance(event, TunnelDown):
            heard[0].down(event)
        elif isinstance(event, TunnelUp):
            heard[0].ups.append(event.carrier)

    keeper = _keeper(entrance, tell, lambda seen: heard[0].seen.append(seen))
    heard.append(Client(keeper, []))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run())
        try:
            yield heard[0]
        finally:
            running.cancel()


def _keeper(
    entrance: Entrance,
    tell: Callable[[TunnelEvent], None],
    tls_seen: Callable[[TlsSeen], None],
) -> Keeper:
    invite = entrance.invite
    url = ServerUrl.parse(entrance.url or invite.url)
    chain: Chain = ()
    if entrance.via:
        login = f"{entrance.login}@" if entrance.login else ""
        via = entrance.via.replace("://", f"://{login}")
        chain = (Via.parse(via),)
    trust = Trust(invite.pin or None, entrance.authorities)
    ways = Ways(url, [chain], Direct(Resolver(5.0)).open, ServerTls(trust, tls_seen))
    kinds = makers(url, ways, entrance.carrier, entrance.methods)
    if not kinds:
        raise ConfigurationError(f"{entrance.carrier} needs other methods than those it may use")
    identity = ClientIdentity(os.urandom(32), invite.server_key, invite.code)
    return Keeper(Greeter(identity), kinds, tell)


def login_for(user: str, password: str) -> str:
    """Both as they stand in a URL."""
    return ":".join(urllib.parse.quote(part, safe="") for part in (user, password))


@dataclass(frozen=True)
class Stage:
    """See the module. The ports are of loopback: `refused` is one where nobody listens."""

    plain: TunnelServer
    secure: TunnelServer
    invites: dict[bool, Invite]
    port: int
    refused: int

    def server(self, *, is_tls: bool) -> TunnelServer:
        return self.secure if is_tls else self.plain


def _options(directory: Path, *, is_tls: bool) -> ServerOptions:
    return ServerOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        state=directory,
        allow=LOOPBACK,
        tls_self=is_tls,
        limits=LIMITS,
    )


@contextlib.asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    """The whole, for as long as the block; its servers keep their state below `directory`."""
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(destination())
        nobody = stack.enter_context(socket.socket())
        # Bound and not listening: nobody else gets it.
        nobody.bind(("127.0.0.1", 0))
        servers, invites = {}, {}
        for is_tls in (False, True):
            state = directory / ("tls" if is_tls else "plain")
            server = TunnelServer(_options(state, is_tls=is_tls))
            servers[is_tls] = await stack.enter_async_context(server)
            terms = InviteTerms(server.urls[0], CLIENTS, 3600)
            invites[is_tls] = make_invite(state, "alice", terms)
        yield Stage(servers[False], servers[True], invites, port, nobody.getsockname()[1])
