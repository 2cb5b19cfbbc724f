"""Reaches destinations directly: resolve once, connect to the literal addresses given."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from underpass.address import Address, IPAddress
from underpass.errors import DialError, Failure
from underpass.net.connect import Connector
from underpass.net.resolve import Resolver
from underpass.net.stream import Stream
from underpass.outbound.happy_eyeballs import race

# RFC 8305 section 8: between 100 ms and 2 s, 250 ms recommended. It is what a dead IPv6 costs.
ATTEMPT_DELAY = 0.25


@dataclass(frozen=True, slots=True)
class DirectOptions:
    """Seconds for all attempts together, and between two of them."""

    connect_timeout: float = 10.0
    attempt_delay: float = ATTEMPT_DELAY


class Direct:
    """Opens TCP streams from this machine. Asks no policy: `Guard` does, before each step."""

    def __init__(self, resolver: Resolver, options: DirectOptions | None = None) -> None:
        self._resolver = resolver
        self._options = options or DirectOptions()
        self._connector = Connector(self._options.connect_timeout)

    async def open(self, address: Address) -> Stream:
        """Resolve and connect; a dial. Raises `DialError`."""
        return await self.connect(await self.resolve(address), address.port)

    async def resolve(self, address: Address) -> tuple[IPAddress, ...]:
        """The addresses behind `address`. Raises `DialError`."""
        ip = address.ip
        return (ip,) if ip is not None else await self._resolver.resolve(address.host)

    def connect(self, candidates: Sequence[IPAddress], port: int) -> Coroutine[Any, Any, Stream]:
        """Connect to the first of `candidates` that answers. Raises `DialError`."""
        if len(candidates) == 1:
            return self._connector.connect(candidates[0], port)
        return self._race(candidates, port)

    async def _race(self, candidates: Sequence[IPAddress], port: int) -> Stream:
        timeout = self._options.connect_timeout

        async def attempt(ip: IPAddress) -> Stream:
            return await self._connector.connect(ip, port)

        try:
            async with asyncio.timeout(timeout):
                return await race(candidates, attempt, self._options.attempt_delay)
        except TimeoutError:
            details = f"{len(candidates)} addresses, port {port}, after {timeout:g} s"
            raise DialError(Failure.CONNECTION_TIMEOUT, details) from None
