"""Streams to destinations that have answered and wait for their next request.

A stream is kept under who asked and where it goes, so that it never serves another user: what one
user's request left behind on it cannot reach another (a server's early or second answer, an
authentication bound to the stream).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from underpass.access import Principal
from underpass.address import Address
from underpass.net.message_stream import MessageStream
from underpass.net.transport import TransportStream
from underpass.protocol.http.message import ResponseReader

# Kept streams in all: as many as a busy office's browsers use, and a bound on files.
POOL_TOTAL = 512


@dataclass(frozen=True, slots=True)
class PoolKey:
    """Who asked, from which client address, for which destination, and under which configuration.

    Policy and the way out may be others in the next `generation`.
    """

    principal: Principal
    client: str
    address: Address
    generation: int
    # Looked up a few times for every request, while most requests bring the key of the one before.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = hash((self.principal, self.client, self.address, self.generation))
        object.__setattr__(self, "_hash", known)

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Streams kept for one key, and seconds that one is kept."""

    per_key: int = 8
    idle_timeout: float = 30.0


Server = MessageStream[ResponseReader]


class Pool:
    """Keeps quiet server streams for a while. Nothing here waits, but `sweep`."""

    def __init__(self, limits: PoolLimits) -> None:
        self.limits = limits
        self._kept: dict[PoolKey, deque[tuple[float, Server]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, key: PoolKey) -> Server | None:
        """Return the most recently used stream for `key` that is still quiet, or None."""
        kept = self._kept.get(key)
        while kept:
            _, server = kept.pop()
            self._count -= 1
            if not kept:
                del self._kept[key]
            stream = server.stream
            if stream.is_quiet:
                if isinstance(stream, TransportStream):
                    stream.offer_next(None)
                return server
            stream.close_soon()
        return None

    def keep(self, key: PoolKey, server: Server, now: float) -> None:
        """Keep `server` for the next request of `key`; over a limit it is let go."""
        kept = self._kept.get(key, ())
        full = self._count >= POOL_TOTAL or len(kept) >= self.limits.per_key
        stream = server.stream
        if full or not stream.is_quiet:
            stream.close_soon()
            return
        self._kept.setdefault(key, deque()).append((now, server))
        self._count += 1
        if isinstance(stream, TransportStream):
            # The others are looked at when they are taken, and a few times an idle time.
            stream.offer_next(partial(self._stirred, key, server))

    def _stirred(self, key: PoolKey, server: Server, data: bytes) -> bool:
        """The server ended a kept stream, or said what nobody asked for: free it, and its place."""
        kept = self._kept.get(key) or deque()
        for entry in kept:
            if entry[1] is server:
                kept.remove(entry)
                self._count -= 1
                break
        if not kept:
            self._kept.pop(key, None)
        server.stream.close_soon()
        return True

    def expire(self, now: float) -> None:
        """Let go of streams that have been kept for the idle time, or that the server ended."""
        oldest = now - self.limits.idle_timeout
        for key, kept in list(self._kept.items()):
            fresh: deque[tuple[float, Server]] = deque()
            for since, server in kept:
                if since > oldest and server.stream.is_quiet:
                    fresh.append((since, server))
                else:
                    server.stream.close_soon()
            self._count -= len(kept) - len(fresh)
            if fresh:
                self._kept[key] = fresh
            else:
                del self._kept[key]

    def clear(self) -> None:
        """Let go of all, as when policy has changed."""
        self.expire(float("inf"))

    async def sweep(self) -> None:
        """Expire for ever, a few times an idle time."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.idle_timeout / 4)
            self.expire(loop.time())
