"""`Sorter`: one listener for two services, told apart by the first request of each stream.

What is meant for a proxy is CONNECT, or has a whole URL for its target (RFC 9112 section 3.2);
everything else is a visitor's of the web site that the tunnel's server is. A stream stays with the
service that its first request chose.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from underpass.errors import StreamError
from underpass.net.clock import TimeLimit
from underpass.net.gate import Ticket
from underpass.net.stream import Stream

# No method is longer; who sends more without a space sends no request.
MAX_METHOD_BYTES = 32

# The method and the first character of the target. Empty lines may stand before (RFC 9112 2.2).
_START = re.compile(rb"(?:\r\n)*([!-~]+) (.)", re.DOTALL)

Serve = Callable[[Stream, Ticket], Awaitable[None]]


def is_for_proxy(start: bytes) -> bool | None:
    """Whether a request that begins so is for a proxy; None while that can't be told yet."""
    found = _START.match(start)
    if found is None:
        return None if len(start) <= MAX_METHOD_BYTES else False
    method, first = found.groups()
    return method == b"CONNECT" or first not in (b"/", b"*")


@dataclass(frozen=True, slots=True)
class Sorter:
    """See the module. The first bytes have `head_timeout` seconds to come."""

    site: Serve
    proxy: Serve
    head_timeout: float

    async def serve(self, stream: Stream, ticket: Ticket) -> None:
        """Serve one stream by the one or the other. Raises nothing but cancellation."""
        start = b""
        try:
            with TimeLimit(self.head_timeout):
                while (is_proxys := is_for_proxy(start)) is None:
                    data = await stream.receive()
                    if not data:
                        break
                    start += data
        except TimeoutError:
            # As the site does with who says nothing.
            await stream.close()
            return
        except StreamError:
            stream.abort()
            return
        stream.unread(start)
        await (self.proxy if is_proxys else self.site)(stream, ticket)
