"""Resolves names through the system, with bounds: a dead name server holds nobody else up."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable

from underpass.address import IPAddress
from underpass.errors import DialError, Failure

# Each waiting look-up holds a thread, as the system's resolver blocks. Threads that hang in a dead
# name server come back after its own time-outs, some ten seconds.
MAX_LOOKUPS = 128

Lookup = Callable[[str], list[str]]

_RCODES = {
    socket.EAI_NONAME: "NXDOMAIN",
    socket.EAI_NODATA: "NOERROR",
    socket.EAI_AGAIN: "SERVFAIL",
    socket.EAI_FAIL: "SERVFAIL",
}


def system_lookup(host: str) -> list[str]:
    """The addresses of `host` in the order that the system prefers. Blocks. Raises `gaierror`."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Resolver:
    """Names to addresses, each look-up in a thread of its own, at most `MAX_LOOKUPS` at once.

    Look-ups of one name at the same time are one look-up. Nothing is cached: the system may.
    """

    def __init__(self, timeout: float = 5.0, lookup: Lookup = system_lookup) -> None:
        self._timeout = timeout
        self._lookup = lookup
        self._pending: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> tuple[IPAddress, ...]:
        """Return the addresses of a name or literal, at least one, without doubles.

        Raises `DialError`: DNS_ERROR (with its rcode), DNS_TIMEOUT, or CONNECTION_LIMIT when too
        many look-ups hang.
        """
        future = self._pending.get(host)
        if future is None:
            if len(self._pending) >= MAX_LOOKUPS:
                raise DialError(Failure.CONNECTION_LIMIT, "too many names are being resolved")
            future = self._start(host)
        try:
            async with asyncio.timeout(self._timeout):
                found = await asyncio.shield(future)
        except TimeoutError:
            details = f"{host} after {self._timeout:g} s"
            raise DialError(Failure.DNS_TIMEOUT, details) from None
        except (OSError, UnicodeError) as error:
            rcode = _RCODES.get(getattr(error, "errno", None) or 0, "SERVFAIL")
            raise DialError(Failure.DNS_ERROR, host, parameters={"rcode": rcode}) from None
        addresses = tuple(dict.fromkeys(_parse(text) for text in found if "%" not in text))
        if not addresses:
            raise DialError(Failure.DNS_ERROR, host, parameters={"rcode": "NOERROR"})
        return addresses

    def _start(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()
        self._pending[host] = future
        # Whoever asked may have given up: a failure that nobody waits for is no news.
        future.add_done_callback(lambda done: self._forget(host, done))
        # A daemon thread: one that hangs does not keep the process from ending.
        thread = threading.Thread(
            target=_run, args=(self._lookup, host, loop, future), daemon=True, name=f"dns {host}"
        )
        thread.start()
        return future

    def _forget(self, host: str, future: asyncio.Future[list[str]]) -> None:
        self._pending.pop(host, None)
        future.exception()


def _run(
    lookup: Lookup,
    host: str,
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[list[str]],
) -> None:
    """Look up in this thread and hand the outcome to the loop, if that still runs."""

    def settle(found: list[str], error: Exception | None) -> None:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found)

    try:
        found, error = lookup(host), None
    except (OSError, UnicodeError) as caught:
        found, error = [], caught
    try:
        loop.call_soon_threadsafe(settle, found, error)
    except RuntimeError:
        # The loop is closed: nobody waits any more.
        return


def _parse(text: str) -> IPAddress:
    ip = ipaddress.ip_address(text)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
