"""`Behaviour`: what a middlebox does to the traffic that goes through it.

Each option is something that real boxes do (docs/middleboxes.md names who). They combine.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

ALL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"})


class Connect(enum.Enum):
    """What becomes of CONNECT."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    ONLY_443 = "only to port 443"
    BLOCK_PAGE = "a page, with 200"


class Pages(enum.Enum):
    """What plain requests get in place of the origin's answer."""

    NONE = "none"
    BLOCK = "a page, with 200"
    PORTAL = "302 to a page where one logs in"


class Hold(enum.Enum):
    """When a body goes on."""

    NO = "as it comes"
    WHOLE = "when it is whole"
    THRESHOLD = "whenever 64 KiB have come, or it is whole"
    NEVER = "its head alone, if it is streamed"


class Login(enum.Enum):
    """What login the box asks for.

    NTLM is bound to the TCP stream; whom it lets in stands in the file that the environment's
    NTLM_USER_FILE names, as pyspnego reads it.
    """

    NONE = "none"
    BASIC = "Basic"
    DIGEST = "Digest"
    NTLM = "NTLM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """See the module. Seconds, bytes; 0 for no limit, and probabilities from 0 to 1.

    connect: what becomes of CONNECT.
    only_tls: a stream that CONNECT opened is reset unless it begins as TLS does.
    opens_tls: TLS is opened, with certificates of the box's own authority, and read.
    forward: whether plain requests in absolute-form go on; else 403.
    pages: what they get in place of the origin's answer.
    strip_upgrade: Upgrade is taken out of requests, as an old proxy does.
    responses: when their bodies go on. Requests go on when they are whole.
    max_body: a longer request body is answered 413.
    max_target: a longer target is answered 414.
    idle_limit: a TCP stream on which nothing came for so long is reset.
    life_limit: a TCP stream is reset after so long, whatever comes.
    one_at_a_time: one request is under way for all of a client's streams; others wait.
    methods: others are answered 405.
    repeat_posts: a POST or PUT goes on so many times more, one after another.
    replay_after: a POST goes on once more after so many seconds.
    reorder_posts: of two POSTs under way at once, the second goes on first.
    cache_gets: a GET that was seen before is answered from memory, whatever the response said.
    lower_names, drop_fields, add_fields: what happens to header fields, both ways.
    http_10: speaks HTTP/1.0 to both sides, without persistent connections.
    refuse_chunked: a chunked request is answered 411, a chunked response 502.
    alter: bytes of every body that has some are changed, one in a body.
    inject: text put in front of every response body, as a portal does.
    login, user, password, expire_after: the login asked for; after so many requests again.
    reset_chance: a client's TCP stream is reset at a random byte.
    truncate_chance: a response ends in order, too early.
    unavailable_chance: a request is answered 503.
    retry_after: what 503 says in Retry-After, in seconds.
    delay: each way, in seconds; half of a round trip.
    rate: bytes a second each way, shared by all streams.
    """

    connect: Connect = Connect.ALLOWED
    only_tls: bool = False
    opens_tls: bool = False
    forward: bool = True
    pages: Pages = Pages.NONE
    strip_upgrade: bool = False
    responses: Hold = Hold.NO
    max_body: int = 0
    max_target: int = 0
    idle_limit: float = 0
    life_limit: float = 0
    one_at_a_time: bool = False
    methods: frozenset[str] = ALL_METHODS
    repeat_posts: int = 0
    replay_after: float = 0
    reorder_posts: bool = False
    cache_gets: bool = False
    lower_names: bool = False
    drop_fields: frozenset[bytes] = frozenset()
    add_fields: tuple[tuple[bytes, bytes], ...] = ()
    http_10: bool = False
    refuse_chunked: bool = False
    alter: bool = False
    inject: bytes = b""
    login: Login = Login.NONE
    user: str = "user"
    password: str = field(default="password", repr=False)
    expire_after: int = 0
    reset_chance: float = 0
    truncate_chance: float = 0
    unavailable_chance: float = 0
    retry_after: int = 0
    delay: float = 0
    rate: float = 0
