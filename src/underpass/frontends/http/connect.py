"""CONNECT: dial the target, say so, and relay (RFC 9110 9.3.6, RFC 9112 3.2.3, RFC 9931)."""

from __future__ import annotations

from underpass.address import Address
from underpass.errors import StreamError
from underpass.net.relay import Ending, RelayTimeouts, Tally, Transfer, relay
from underpass.net.stream import Stream
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.target import parse_authority

# A 2xx to CONNECT has neither Content-Length nor Transfer-Encoding (RFC 9110 9.3.6), and no
# Connection field, which some clients misread as the end of the tunnel.
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def connect_target(head: RequestHead) -> Address:
    """The address that a CONNECT asks for: its target alone decides, never Host.

    Raises `RemoteProtocolError` (BAD_TARGET).
    """
    return parse_authority(head.target)


async def tunnel(
    client: Stream, destination: Stream, timeouts: RelayTimeouts, tally: Tally | None = None
) -> Transfer:
    """Tell `client` that `destination` stands, then relay until both directions have ended.

    Bytes that came with the request wait in `client` and go first (RFC 9931).
    """
    try:
        await client.send(ESTABLISHED)
    except StreamError:
        destination.abort()
        client.abort()
        return Transfer(0, 0, Ending.LEFT_RESET)
    return await relay(client, destination, timeouts, tally)
