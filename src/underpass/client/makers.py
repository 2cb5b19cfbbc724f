"""The kinds of carriers over the ways to the server there are, in the order to try them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from underpass.carriers.base import Carrier
from underpass.carriers.http_client import HttpClient
from underpass.carriers.methods import Methods
from underpass.carriers.pacing import Pacing, SharedPath
from underpass.carriers.server_url import ServerUrl
from underpass.outbound.ways import Way, Ways


@dataclass(frozen=True, slots=True)
class CarrierMaker:
    """Makes carriers of one kind over one way; what it learns of the way outlives them."""

    name: str
    make: Callable[[], Carrier]
    pacing: Pacing

    @property
    def refused(self) -> frozenset[str]:
        """The methods that the way was seen not to let through; POST stands for them."""
        return frozenset(self.pacing.refused)


def makers(url: ServerUrl, ways: Ways, carrier: str, methods: Methods) -> list[CarrierMaker]:
    """All that may work, best first; `carrier` is the name of a kind, or ``auto``.

    A way that is dead costs each kind only its own head start, so all ways of a kind come before
    the next kind.
    """
    found: list[CarrierMaker] = []
    paths: defaultdict[str, SharedPath] = defaultdict(SharedPath)
    for kind, chosen, make in _kinds(ways, methods):
        if carrier not in ("auto", kind):
            continue
        found += [
            _maker(f"{kind}, {way.name}", make, (url, way), Pacing(paths[way.name]))
            for way in chosen
        ]
    return found


_Make = Callable[[HttpClient, Pacing], Carrier]


def _kinds(ways: Ways, methods: Methods) -> Iterator[tuple[str, Sequence[Way], _Make]]:
    if methods.can_get:
        yield "websocket", ways.for_websocket, _websocket
    if methods.can_get and methods.can_post:
        yield "stream", ways.for_requests, partial(_stream, methods)
    if methods.can_post:
        yield "poll", ways.for_requests, partial(_poll, methods)
    if methods.can_get:
        yield "get", ways.for_requests, _get


# A kind is loaded when one is made: most tunnels never need more than the first.


def _websocket(client: HttpClient, pacing: Pacing) -> Carrier:
    from underpass.carriers.websocket import WebSocketCarrier  # noqa: PLC0415 - see above

    return WebSocketCarrier(client, pacing)


def _stream(methods: Methods, client: HttpClient, pacing: Pacing) -> Carrier:
    from underpass.carriers.stream import StreamCarrier  # noqa: PLC0415 - see above

    return StreamCarrier(client, methods, pacing)


def _poll(methods: Methods, client: HttpClient, pacing: Pacing) -> Carrier:
    from underpass.carriers.poll import PollCarrier  # noqa: PLC0415 - see above

    return PollCarrier(client, methods, pacing)


def _get(client: HttpClient, pacing: Pacing) -> Carrier:
    from underpass.carriers.get import GetCarrier  # noqa: PLC0415 - see above

    return GetCarrier(client, pacing)


def _maker(name: str, make: _Make, to: tuple[ServerUrl, Way], pacing: Pacing) -> CarrierMaker:
    url, way = to
    return CarrierMaker(name, lambda: make(HttpClient(url, way.make), pacing), pacing)
