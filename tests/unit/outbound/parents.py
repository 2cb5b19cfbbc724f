"""A scripted upstream proxy."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from underpass.address import Address
from underpass.errors import DialError
from underpass.net.resolve import Resolver
from underpass.net.stream import Stream
from underpass.outbound.direct import Direct
from underpass.outbound.upstream import Upstream
from underpass.outbound.via import Via
from underpass.protocol.http.digest import Login

SECONDS = 5.0
SITE = Address("site.example", 443)
CAROL = Login("carol", "sesame")

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Parent:
    """An upstream proxy that runs `script` on each stream, and remembers how they went."""

    script: Script
    port: int = 0
    accepted: int = 0
    ended: int = 0
    problems: list[BaseException] = field(default_factory=list)
    trust: ssl.SSLContext | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            async with asyncio.timeout(SECONDS):
                await self.script(reader, writer)
                # Until the other end has ended.
                await reader.read()
        except (AssertionError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.problems.append(error)
        except ConnectionError:
            pass
        finally:
            self.ended += 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def upstream(
        self, scheme: str = "http", login: Login | None = None, host: str = "127.0.0.1"
    ) -> Upstream:
        direct = Direct(Resolver(SECONDS, lambda name: ["127.0.0.1"]))
        user, password = (login.user, login.password) if login else ("", "")
        proxy = Via(scheme, Address(host, self.port), user, password)
        return Upstream(proxy, direct.open, self.trust)

    async def all_ended(self) -> None:
        async with asyncio.timeout(SECONDS):
            while self.ended < self.accepted:
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def parent(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[Parent]:
    one = Parent(script)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=context)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
        # Whatever was opened has been freed, in order or not.
        await one.all_ended()
        assert one.problems == []
    finally:
        server.close()


async def free(stream: Stream) -> None:
    stream.abort()
    await asyncio.sleep(0)


async def fails(upstream: Upstream, address: Address = SITE) -> DialError:
    with pytest.raises(DialError) as caught:
        await upstream.open(address)
    return caught.value
