"""The modes of the matrix: what a box does, who does so, and what comes through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from underpass.carriers.methods import Methods
from underpass.client_options import CARRIERS
from underpass.testing.middlebox import Behaviour, Connect, Hold, Login, Pages

KINDS = (*CARRIERS, "auto")
USER, PASSWORD = "CORP\\carol", "open sesame"

NO_WEBSOCKET = {"websocket": "HTTP 404"}
NO_STREAM = {"stream": "nothing comes back"}


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One line of the matrix.

    `fails`: which carriers can't work, and what their error says; all others must work. `idle`:
    seconds of rest that belong to the exercise; `size`: bytes a stream.
    """

    name: str
    who: str
    behaviour: Behaviour
    is_inline: bool = False
    is_tls: bool = False
    methods: str = "GET,POST,PUT,DELETE"
    fails: Mapping[str, str] = field(default_factory=dict)
    idle: float = 0.0
    size: int = 150_000

    @property
    def allowed(self) -> Methods:
        """What the client is told of methods."""
        return Methods.parse(self.methods)


def plain(**what: object) -> Behaviour:
    """A proxy without CONNECT, so that it sees each request, and what else it does."""
    return Behaviour(connect=Connect.REFUSED, **what)  # type: ignore[arg-type]  # options of its own


MODES = (
    Mode(
        name="nothing in the way",
        who="a network without a proxy",
        behaviour=Behaviour(),
        is_inline=True,
    ),
    Mode(
        name="CONNECT alone",
        who="proxies for TLS alone",
        behaviour=Behaviour(forward=False),
    ),
    Mode(
        name="no CONNECT",
        who="squid with `deny CONNECT`, proxies of hotels",
        behaviour=plain(),
    ),
    Mode(
        name="CONNECT to port 443 alone",
        who="squid as it comes, most companies' proxies",
        behaviour=Behaviour(connect=Connect.ONLY_443),
    ),
    Mode(
        name="CONNECT for TLS alone",
        who="firewalls that look at the first bytes",
        behaviour=Behaviour(only_tls=True),
    ),
    Mode(
        name="CONNECT to port 443 alone, server with TLS",
        who="squid as it comes, where the server is not on port 443",
        behaviour=Behaviour(connect=Connect.ONLY_443),
        is_tls=True,
        fails=dict.fromkeys(KINDS, "403"),
    ),
    Mode(
        name="a page with 200 for CONNECT",
        who="filters that can't answer 403 nicely",
        behaviour=Behaviour(connect=Connect.BLOCK_PAGE),
    ),
    Mode(
        name="Upgrade stripped",
        who="squid, old proxies, virus scanners",
        behaviour=plain(strip_upgrade=True),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="responses held until whole",
        who="virus scanners (Sophos), nginx with a large buffer",
        behaviour=plain(strip_upgrade=True, responses=Hold.WHOLE),
        fails={**NO_WEBSOCKET, **NO_STREAM},
    ),
    Mode(
        name="responses held until 64 KiB",
        who="nginx with proxy_buffering, PHP relays",
        behaviour=plain(strip_upgrade=True, responses=Hold.THRESHOLD),
        fails={**NO_WEBSOCKET, **NO_STREAM},
    ),
    Mode(
        name="streamed bodies never come",
        who="proxies that pass the head alone (2% of one vendor's customers)",
        behaviour=plain(strip_upgrade=True, responses=Hold.NEVER),
        fails={**NO_WEBSOCKET, **NO_STREAM},
    ),
    Mode(
        name="bodies over 32 KiB refused",
        who="gateways, upload filters",
        behaviour=plain(strip_upgrade=True, max_body=32 * 1024),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="targets over 4 KiB refused",
        who="nginx, IIS",
        behaviour=plain(max_target=4096),
    ),
    Mode(
        name="idle for 1.5 s is cut",
        who="CDNs after 10 to 125 s, firewalls after 30 s",
        behaviour=plain(idle_limit=1.5),
        idle=4.0,
    ),
    Mode(
        name="everything is cut after 2 s",
        who="proxies with a longest life, of 60 s to 48 h",
        behaviour=plain(life_limit=2.0),
        idle=4.0,
    ),
    Mode(
        name="one request at a time",
        who="CDNs that are strict, proxies of small offices",
        behaviour=plain(strip_upgrade=True, one_at_a_time=True),
        fails={**NO_WEBSOCKET, "stream": "no POST is answered"},
    ),
    Mode(
        name="GET alone",
        who="read-only filters",
        behaviour=plain(methods=frozenset({"GET"})),
        fails=dict.fromkeys(("stream", "poll"), "405"),
    ),
    Mode(
        name="GET and POST alone",
        who="web application firewalls",
        behaviour=plain(methods=frozenset({"GET", "POST"})),
    ),
    Mode(
        name="POST alone, and the client told so",
        who="gateways for SOAP",
        behaviour=plain(methods=frozenset({"POST"})),
        methods="POST",
        fails=dict.fromkeys(("websocket", "stream", "get"), "methods"),
    ),
    Mode(
        name="POST sent twice",
        who="proxies and libraries that retry (RFC 9110 9.2.2 forbids it)",
        behaviour=plain(strip_upgrade=True, repeat_posts=2),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="POST replayed a second later",
        who="the same, after a time-out; attackers",
        behaviour=plain(strip_upgrade=True, replay_after=1.0),
        fails=NO_WEBSOCKET,
        idle=1.5,
    ),
    Mode(
        name="POSTs out of order",
        who="proxies with a pool of streams",
        behaviour=plain(strip_upgrade=True, reorder_posts=True),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="GET answered from a cache, however stale",
        who="caches that heed no Cache-Control",
        behaviour=plain(strip_upgrade=True, cache_gets=True),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="fields lower-cased, taken out, added",
        who="HTTP/2 gateways, privacy filters",
        behaviour=plain(
            lower_names=True,
            drop_fields=frozenset(
                {
                    b"prefer",
                    b"cache-control",
                    b"server-timing",
                    b"incremental",
                    b"x-accel-buffering",
                }
            ),
            add_fields=((b"X-Forwarded-For", b"10.0.0.1"), (b"X-Scanned", b"yes")),
        ),
    ),
    Mode(
        name="HTTP/1.0",
        who="old proxies",
        behaviour=plain(http_10=True),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="chunked refused",
        who="old proxies, some scanners",
        behaviour=plain(strip_upgrade=True, refuse_chunked=True),
        fails={**NO_WEBSOCKET, "stream": "502"},
    ),
    Mode(
        name="bodies altered",
        who="proxies that compress or transcode",
        behaviour=plain(alter=True),
        fails={"stream": "404", "poll": "404", "get": "does not open"},
    ),
    Mode(
        name="HTML put into bodies",
        who="portals, mobile networks",
        behaviour=plain(inject=b"<script>ad()</script>"),
        fails=dict.fromkeys(("stream", "poll", "get"), "not an opening message"),
    ),
    Mode(
        name="a page with 200 for everything",
        who="filters",
        behaviour=plain(pages=Pages.BLOCK),
        fails={
            "websocket": "HTTP 200",
            "auto": "HTTP 200",
            **dict.fromkeys(("stream", "poll", "get"), "a page of a box"),
        },
    ),
    Mode(
        name="302 to a login page",
        who="portals of hotels and trains",
        behaviour=plain(pages=Pages.PORTAL),
        fails=dict.fromkeys(KINDS, "302"),
    ),
    Mode(
        name="login by Basic, asked for again after 20 requests",
        who="squid, small proxies",
        behaviour=plain(login=Login.BASIC, user=USER, password=PASSWORD, expire_after=20),
    ),
    Mode(
        name="login by Digest, asked for again after 20 requests",
        who="squid",
        behaviour=plain(login=Login.DIGEST, user=USER, password=PASSWORD, expire_after=20),
    ),
    Mode(
        name="login by NTLM, asked for again after 20 requests",
        who="companies' proxies",
        behaviour=plain(login=Login.NTLM, user=USER, password=PASSWORD, expire_after=20),
    ),
    Mode(
        name="TLS opened by the proxy",
        who="companies' proxies, 5 to 10% of all TLS",
        behaviour=Behaviour(opens_tls=True, forward=False),
        is_tls=True,
    ),
    Mode(
        name="TLS opened by a box in the path",
        who="virus scanners on the machine, firewalls",
        behaviour=Behaviour(opens_tls=True, strip_upgrade=True, responses=Hold.WHOLE),
        is_inline=True,
        is_tls=True,
        fails={**NO_WEBSOCKET, **NO_STREAM},
    ),
    Mode(
        name="a tenth of all streams reset at some byte",
        who="bad lines, overloaded firewalls",
        behaviour=plain(reset_chance=0.1),
    ),
    Mode(
        name="a twentieth of all responses too short",
        who="virus scanners, crashing proxies",
        behaviour=plain(strip_upgrade=True, truncate_chance=0.05),
        fails=NO_WEBSOCKET,
    ),
    Mode(
        name="503 to 30% of all requests",
        who="overloaded gateways",
        behaviour=plain(unavailable_chance=0.3),
    ),
    Mode(
        name="503 to a tenth, with Retry-After: 1",
        who="gateways that limit rates",
        behaviour=plain(unavailable_chance=0.1, retry_after=1),
    ),
    Mode(
        name="512 kbit/s, 400 ms",
        who="mobile networks, satellites",
        behaviour=plain(delay=0.2, rate=64_000),
        size=20_000,
    ),
)
