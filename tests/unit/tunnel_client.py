"""A client of a `TunnelServer` in the same program: enrols with a code, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from underpass.address import Address
from underpass.carriers.base import Carrier
from underpass.carriers.http_client import HttpClient
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing
from underpass.carriers.poll import PollCarrier
from underpass.carriers.server_url import ServerUrl
from underpass.carriers.websocket import WebSocketCarrier
from underpass.net.connect import connect_tcp
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Stream
from underpass.protocol.invite import Invite
from underpass.server.invites import InviteTerms, make_invite
from underpass.tunnel.greeting import ClientIdentity, Greeter
from underpass.tunnel.keeper import Keeper

KINDS = ("websocket", "poll")


@dataclass
class Kind:
    """One kind of carrier, straight to the server."""

    name: str
    url: ServerUrl

    def make(self) -> Carrier:
        def route() -> Route:
            return StreamRoute(dial, self.url.address)

        client = HttpClient(self.url, route)
        if self.name == "websocket":
            return WebSocketCarrier(client, Pacing())
        return PollCarrier(client, Methods(), Pacing())


async def dial(address: Address) -> Stream:
    """Connect to a literal address."""
    assert address.ip is not None
    return await connect_tcp(address.ip, address.port, 5.0)


def invite_to(directory: Path, url: str, name: str = "alice", uses: int = 1) -> Invite:
    """An invite to the server whose state is in `directory`."""
    return make_invite(directory, name, InviteTerms(url, uses, 3600))


@contextlib.asynccontextmanager
async def tunnel_to(
    invite: Invite, kind: str = "websocket", key: bytes = b""
) -> AsyncIterator[Keeper]:
    """A tunnel to the server that `invite` names, for as long as the block."""
    identity = ClientIdentity(key or os.urandom(32), invite.server_key, invite.code)
    url = ServerUrl.parse(invite.url)
    keeper = Keeper(Greeter(identity), [Kind(kind, url)], lambda _: None)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run())
        try:
            yield keeper
        finally:
            running.cancel()
