"""A small HTTP/1.1 origin, over TCP or TLS.

========================  =====================================================================
``/echo``                 the request as JSON: method, target, version, fields, body
``/bytes/N``              N bytes of the pattern, their hash in ``X-SHA256``
``/upload``               reads the body; its SHA-256 and length as JSON
``/slow``                 ``/slow/N``: N pieces, each waiting for `HttpOrigin.step`
``/chunked``              chunks and a trailer section
``/close``                a body that ends with the connection
``/status/N``             an empty answer with that status
========================  =====================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.origins.pattern import pattern, pattern_hash
from tests.origins.serving import serving
from tests.origins.visit import Visit, read_visit

Handler = Callable[[Visit], Awaitable[None]]

SLOW_PIECE = b"." * 1024


@dataclass
class HttpOrigin:
    """Answers on loopback; remembers how many connections and requests it saw."""

    routes: dict[str, Handler] = field(default_factory=dict)
    scheme: str = "http"
    port: int = 0
    connections: int = 0
    visits: list[tuple[str, str]] = field(default_factory=list)
    steps: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    problems: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while visit := await read_visit(reader, writer):
                self.visits.append((visit.method, visit.target))
                await self._handler(visit)(visit)
                await visit.finish()
                await writer.drain()
                if not visit.keeps_alive:
                    break
        except (OSError, asyncio.IncompleteReadError) as error:
            self.problems.append(error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _handler(self, visit: Visit) -> Handler:
        first = "/" + visit.path.split("/")[1]
        known: dict[str, Handler] = {
            "/echo": _echo,
            "/bytes": _bytes,
            "/upload": _upload,
            "/slow": self._slow,
            "/chunked": _chunked,
            "/close": _until_close,
            "/status": _status,
            **self.routes,
        }
        return known.get(first) or _not_found

    async def _slow(self, visit: Visit) -> None:
        pieces = int(visit.path.rsplit("/", 1)[1])
        visit.begin(200, {"Content-Length": str(pieces * len(SLOW_PIECE))})
        for _ in range(pieces):
            await self.steps.acquire()
            visit.writer.write(SLOW_PIECE)
            await visit.writer.drain()


async def _echo(visit: Visit) -> None:
    body = await visit.body()
    seen = {
        "method": visit.method,
        "target": visit.target,
        "version": visit.version,
        "fields": visit.fields,
        "trailers": visit.trailers,
        "body": body.decode("latin-1"),
    }
    visit.answer(json.dumps(seen).encode(), "application/json")


async def _bytes(visit: Visit) -> None:
    size = int(visit.path.rsplit("/", 1)[1])
    visit.begin(200, {"Content-Length": str(size), "X-SHA256": pattern_hash(size)})
    if visit.method == "HEAD":
        return
    for piece in pattern(size):
        visit.writer.write(piece)
        await visit.writer.drain()


async def _upload(visit: Visit) -> None:
    digest, length = hashlib.sha256(), 0
    async for piece in visit.pieces():
        digest.update(piece)
        length += len(piece)
    seen = {"sha256": digest.hexdigest(), "length": length, "fields": visit.fields}
    visit.answer(json.dumps(seen).encode(), "application/json")


async def _chunked(visit: Visit) -> None:
    visit.begin(200, {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"})
    for word in (b"one ", b"two ", b"three"):
        visit.writer.write(b"%x\r\n%s\r\n" % (len(word), word))
        await visit.writer.drain()
    visit.writer.write(b"0\r\nX-Sum: 3 words\r\n\r\n")


async def _until_close(visit: Visit) -> None:
    visit.begin(200, {"Connection": "close"})
    visit.writer.write(b"everything until the end")
    visit.keeps_alive = False


async def _status(visit: Visit) -> None:
    visit.answer(b"", "text/plain", int(visit.path.rsplit("/", 1)[1]))


async def _not_found(visit: Visit) -> None:
    visit.answer(b"no such page\n", "text/plain", 404)


@contextlib.asynccontextmanager
async def http_origin(
    routes: dict[str, Handler] | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[HttpOrigin]:
    """Run an origin on an ephemeral port of loopback, over TLS with a `context`."""
    origin = HttpOrigin(routes or {}, "https" if context else "http")
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, ssl=context, backlog=4096)
    async with serving(server) as origin.port:
        yield origin
