"""A raw client, a middlebox and a scripted origin behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.unit.frontends.http.dialogue import Origin, RawClient, Script, origin
from underpass.address import Address
from underpass.testing.middlebox import Behaviour, Middlebox

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NONE = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Walk:
    """See the module."""

    box: Middlebox
    origin: Origin

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        address = self.box.address
        client = RawClient(*await asyncio.open_connection(address.host, address.port))
        try:
            yield client
        finally:
            await client.close()

    def request(self, method: str = "GET", body: bytes = b"", fields: str = "") -> bytes:
        """A request in absolute-form to the origin."""
        where = self.origin.name.decode()
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} http://{where}/page HTTP/1.1\r\nHost: {where}\r\n{length}{fields}\r\n"
        return head.encode() + body

    def connect(self, fields: str = "") -> bytes:
        """A CONNECT to the origin."""
        where = self.origin.name.decode()
        return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n{fields}\r\n".encode()

    async def ask(self, *requests: bytes) -> list[tuple[bytes, bytes]]:
        """The responses to requests of one client, one after the other."""
        responses = []
        async with self.client() as client:
            for request in requests:
                await client.say(request)
                responses.append(await client.response())
        return responses


@contextlib.asynccontextmanager
async def walk(
    behaviour: Behaviour, script: Script, *, is_inline: bool = False, seed: int = 0
) -> AsyncIterator[Walk]:
    """For as long as the block."""
    async with origin(script) as there:
        inline = Address.parse(there.name.decode()) if is_inline else None
        async with Middlebox(behaviour, inline, seed) as box:
            yield Walk(box, there)


def status(head: bytes) -> int:
    """The status that a response's head says."""
    return int(head.split(b" ")[1])
