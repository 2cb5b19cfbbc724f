"""CONNECT: dial the target, say so, and relay (RFC 9110 9.3.6, RFC 9112 3.2.3, RFC 9931)."""

from __future__ import annotations

from underpass.address import Address
from underpass.errors import StreamError
from underpass.frontends.http.exchange import Exchange
from underpass.net.gate import Ticket
from underpass.net.relay import Ending, RelayTimeouts, Tally, Transfer, relay
from underpass.net.splice import Splicer
from underpass.net.stream import Stream
from underpass.net.transport import TransportStream
from underpass.observe import Counter, Observer
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.target import parse_authority

# A 2xx to CONNECT has neither Content-Length nor Transfer-Encoding (RFC 9110 9.3.6), and no
# Connection field, which some clients misread as the end of the tunnel.
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_TUNNELS = Counter.TUNNELS_OPEN.value


def connect_target(head: RequestHead) -> Address:
    """The address that a CONNECT asks for: its target alone decides, never Host.

    Raises `RemoteProtocolError` (BAD_TARGET).
    """
    return parse_authority(head.target)


async def tell(client: Stream, destination: Stream) -> bool:
    """Tell `client` that `destination` stands; False, with both free, where it is gone."""
    try:
        if not client.send_at_once(ESTABLISHED):
            await client.send(ESTABLISHED)
    except StreamError:
        destination.abort()
        client.abort()
        return False
    return True


async def tunnel(
    client: Stream, destination: Stream, timeouts: RelayTimeouts, tally: Tally | None = None
) -> Transfer:
    """Tell `client` that `destination` stands, then relay until both directions have ended.

    Bytes that came with the request wait in `client` and go first (RFC 9931).
    """
    if not await tell(client, destination):
        return Transfer(0, 0, Ending.LEFT_RESET)
    return await relay(client, destination, timeouts, tally)


class StandingTunnel:
    """What is kept of a tunnel between two transport streams, for which no task waits.

    It holds the client's place while it stands, and writes the access line at its end.
    """

    __slots__ = ("_exchange", "_observer", "_ticket")

    def __init__(self, exchange: Exchange, observer: Observer, ticket: Ticket) -> None:
        # What has been parsed is not needed any more, and a tunnel may stand for days.
        exchange.head = None
        self._exchange = exchange
        self._observer = observer
        self._ticket = ticket

    def relay(
        self, client: TransportStream, destination: TransportStream, splicer: Splicer
    ) -> None:
        """Relay as `tunnel` does, but for telling the client."""
        self._observer.counters.slots[_TUNNELS] += 1
        spliced = splicer.splice(client, destination, self._ended)
        self._ticket.keep(spliced.cut)

    def _ended(self, transfer: Transfer) -> None:
        exchange, observer = self._exchange, self._observer
        exchange.sent, exchange.received = transfer.sent, transfer.received
        exchange.reason = transfer.ending.value
        observer.counters.slots[_TUNNELS] -= 1
        observer.access(exchange.record())
        self._ticket.leave()
