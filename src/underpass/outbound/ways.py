"""`Ways`: every way from here to the tunnel's server, best first, for each kind of request.

A way is a chain of upstream proxies (an empty one: direct), and how the request is put to the last
of them: in a stream that it opens to the server (CONNECT, SOCKS5), or in absolute-form.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underpass.carriers.server_url import ServerUrl
from underpass.net.route import Route, StreamRoute
from underpass.net.stream import Dial
from underpass.outbound.server_tls import ServerTls
from underpass.outbound.via import Chain

if TYPE_CHECKING:
    from underpass.outbound.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Way:
    """`name` is for people; `make` makes a route, for one stream each (`HttpClient`)."""

    name: str
    make: Callable[[], Route]


class Ways:
    """The ways to `url` over each of `chains`, the first of which is best.

    `dial` opens streams from this machine; `tls` is what https:// is opened with; `context`, for
    TLS to proxies, is the system's trust by default. One object keeps the logins to its proxies.
    """

    def __init__(
        self,
        url: ServerUrl,
        chains: Sequence[Chain],
        dial: Dial,
        tls: ServerTls,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._tls = tls
        self._context = context
        # One object for a proxy, wherever it stands first: it holds what is known of the login.
        self._known: dict[Chain, Upstream] = {}
        self._websocket: list[Way] = []
        self._requests: list[Way] = []
        for chain in dict.fromkeys(chains):
            through = self._through(chain, dial)
            plain = self._plain(chain, dial)
            # A stream of its own passes an Upgrade; a proxy that forwards requests may strip it,
            # but many let no CONNECT through but to 443.
            self._websocket += [through, *plain]
            self._requests += [*plain, through]

    @property
    def for_websocket(self) -> Sequence[Way]:
        """Best first for a request that asks for an Upgrade."""
        return self._websocket

    @property
    def for_requests(self) -> Sequence[Way]:
        """Best first for every other request."""
        return self._requests

    def _through(self, chain: Chain, dial: Dial) -> Way:
        """In a stream to the server, that the last proxy opens."""
        opens = self._upstream(chain, dial).open if chain else dial
        if self._url.is_tls:
            opens = self._tls.dial(opens)
        address = self._url.address
        return Way(name_of(chain), lambda: StreamRoute(opens, address))

    def _plain(self, chain: Chain, dial: Dial) -> list[Way]:
        """In absolute-form, where the last proxy takes that and nobody is to be kept from it."""
        if not chain or self._url.is_tls:
            return []
        upstream = self._upstream(chain, dial)
        if not upstream.forwards:
            return []
        from underpass.outbound.upstream_route import UpstreamRoute  # noqa: PLC0415 - see below

        name = f"{name_of(chain)} without CONNECT"
        return [Way(name, lambda: UpstreamRoute(upstream.reach, upstream.login()))]

    def _upstream(self, chain: Chain, dial: Dial) -> Upstream:
        known = self._known.get(chain)
        if known is None:
            from underpass.outbound.upstream import Upstream  # noqa: PLC0415 - for who needs it

            *before, last = chain
            opens = self._upstream(tuple(before), dial).open if before else dial
            known = self._known[chain] = Upstream(last, opens, self._context)
        return known


def name_of(chain: Chain) -> str:
    """Such as ``direct`` or ``through proxy.example:3128, then socks5 10.0.0.1:1080``."""
    if not chain:
        return "direct"
    return "through " + ", then ".join(proxy.name for proxy in chain)
