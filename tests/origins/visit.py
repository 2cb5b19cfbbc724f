"""One request as an origin sees it, and the means to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

PIECE = 64 * 1024


@dataclass
class Visit:
    """A request's head, its body to be read, and its answer to be written."""

    method: str
    target: str
    version: str
    fields: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keeps_alive: bool = True
    trailers: dict[str, str] = field(default_factory=dict)
    _body_read: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body of the request, as it comes."""
        self._body_read = True
        if self.fields.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            async for piece in self._chunks():
                yield piece
            return
        left = int(self.fields.get("content-length", "0"))
        while left:
            piece = await self.reader.read(min(PIECE, left))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            while size:
                piece = await self.reader.readexactly(min(PIECE, size))
                size -= len(piece)
                yield piece
            await self.reader.readexactly(2)
        while (line := await self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            self.trailers[name.lower()] = value.strip()

    async def body(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def finish(self) -> None:
        """Read what nobody wanted, so that the next request starts at its head."""
        if not self._body_read:
            async for _ in self.pieces():
                pass

    def begin(self, status: int, fields: Mapping[str, str]) -> None:
        """Write the head of the answer."""
        lines = [f"HTTP/1.1 {status} Answer"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    def answer(
        self,
        body: bytes,
        kind: str = "application/octet-stream",
        status: int = 200,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with a whole body, or for HEAD with its head."""
        self.begin(
            status, {"Content-Type": kind, "Content-Length": str(len(body)), **(fields or {})}
        )
        if self.method != "HEAD":
            self.writer.write(body)


async def read_visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Visit | None:
    """The next request of a connection, or None after its last."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.split("\r\n")[:-2]
    method, target, version = first.split(" ")
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    visit = Visit(method, target, version, fields, reader, writer)
    connection = fields.get("connection", "").lower()
    visit.keeps_alive = "close" not in connection and version == "HTTP/1.1"
    return visit
