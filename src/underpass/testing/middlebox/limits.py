"""`Limited`: a stream that a middlebox resets when nothing has come or gone for a while."""

from __future__ import annotations

import asyncio
import ssl

from underpass.address import Address
from underpass.errors import StreamReset
from underpass.net.stream import RECEIVE_SIZE, Stream
from underpass.net.transport import TLS_SHUTDOWN_SECONDS, TransportStream

TLS_SECONDS = 10.0


class Limited(Stream):
    """Wraps `stream`; `idle` in seconds, 0 for no limit. Traffic of either direction counts."""

    def __init__(self, stream: TransportStream, idle: float) -> None:
        self._stream = stream
        self._idle = idle
        self._moved_at = asyncio.get_running_loop().time()

    def hold_back(self) -> None:
        """Read nothing more until TLS begins: what comes now is its first message."""
        self._stream.transport.pause_reading()

    async def open_tls(self, context: ssl.SSLContext) -> None:
        """Be the server of TLS on it; what comes after is in the clear here.

        Raises `StreamReset` where the client wants no TLS.
        """
        stream = self._stream
        try:
            transport = await asyncio.get_running_loop().start_tls(
                stream.transport,
                stream,
                context,
                server_side=True,
                ssl_handshake_timeout=TLS_SECONDS,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS,
            )
        except OSError as error:
            stream.abort()
            raise StreamReset(f"no TLS: {error}") from error
        if transport is None:
            raise StreamReset("gone before TLS began")
        stream.attach(transport)

    def _moved(self) -> None:
        self._moved_at = asyncio.get_running_loop().time()

    async def receive(self, limit: int = RECEIVE_SIZE) -> bytes:
        if not self._idle:
            return await self._stream.receive(limit)
        while True:
            left = self._moved_at + self._idle - asyncio.get_running_loop().time()
            if left <= 0:
                self._stream.abort()
                raise StreamReset("idle for too long")
            try:
                async with asyncio.timeout(left):
                    data = await self._stream.receive(limit)
            except TimeoutError:
                continue
            self._moved()
            return data

    def unread(self, data: bytes) -> None:
        self._stream.unread(data)

    async def send(self, data: bytes) -> None:
        self._moved()
        await self._stream.send(data)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def close(self) -> None:
        await self._stream.close()

    def close_soon(self) -> None:
        self._stream.close_soon()

    def abort(self) -> None:
        self._stream.abort()

    @property
    def is_quiet(self) -> bool:
        return self._stream.is_quiet

    @property
    def is_lost(self) -> bool:
        return self._stream.is_lost

    @property
    def peer(self) -> Address | None:
        return self._stream.peer
