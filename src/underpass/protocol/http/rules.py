"""What a proxy changes in the messages it forwards (RFC 9110 section 7.6). Pure."""

from __future__ import annotations

import re

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, Version
from underpass.protocol.http.target import AbsoluteTarget

# Fields for the next server only (RFC 9110 7.6.1), and those of proxies' own authentication.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"proxy-authentication-info",
    }
)

# Fields that a client can't have removed by naming them in Connection: they frame or route the
# message, or the other end's security rests on them (CVE-2024-45410, CVE-2026-29054).
END_TO_END = frozenset(
    {
        b"content-length",
        b"host",
        b"via",
        b"authorization",
        b"cookie",
        b"set-cookie",
        b"cache-control",
        b"forwarded",
        b"max-forwards",
        b"expect",
        b"date",
        b"origin",
    }
)

# What goes no further in each case, put together once and not for every message.
_NOT_TO_ORIGIN = HOP_BY_HOP | {b"host"}
# An expectation of HTTP/1.0 means nothing (RFC 9110 10.1.1), but would in our HTTP/1.1.
_NOT_TO_ORIGIN_OF_10 = _NOT_TO_ORIGIN | {b"expect"}
_ASKED_ANEW = frozenset({b"te", b"upgrade"})
# RFC 9110 8.6: a length where no body can be makes some clients wait for one.
_NOT_WITHOUT_BODY = HOP_BY_HOP | {b"content-length"}

# More than any sane path has: a bound that ends a loop through proxies without pseudonyms.
MAX_VIA = 32

# A Max-Forwards beyond this counts as this; 10 digits would overflow somebody.
MAX_FORWARDS = 255

# RFC 9110 9.2.2. CONNECT and POST are not.
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_BOUND_SCHEMES = (b"ntlm", b"negotiate")
_BINDING = frozenset({b"authorization", b"www-authenticate", b"proxy-authenticate"})
_NUMBER = re.compile(rb"[0-9]{1,10}")


def _forwardable(fields: Fields, dropped: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields but for those `dropped` and those that Connection names."""
    if b"connection" in fields:
        dropped |= {
            name
            for name in fields.tokens(b"connection")
            if name not in END_TO_END and not name.startswith((b"x-forwarded-", b"sec-"))
        }
    return fields.pairs_without(dropped)


def _via(version: Version, pseudonym: bytes) -> tuple[bytes, bytes]:
    return b"Via", (b"1.1 " if version >= HTTP_11 else b"1.0 ") + pseudonym


def forwarded_request(head: RequestHead, target: AbsoluteTarget, pseudonym: bytes) -> RequestHead:
    """The head to send to the origin: origin-form, a Host of our own, no hop-by-hop fields, Via.

    An Upgrade that was asked for is asked for again (RFC 9110 7.8). The body's framing is left to
    the caller, but for Content-Length, which stays.
    """
    dropped = _NOT_TO_ORIGIN if head.version >= HTTP_11 else _NOT_TO_ORIGIN_OF_10
    fields = _forwardable(head.fields, dropped)
    pairs = [(b"Host", target.host_field), *fields, _via(head.version, pseudonym)]
    if head.fields.has_any(_ASKED_ANEW):
        pairs += _asked_anew(head)
    return RequestHead(head.method, target.origin_form, HTTP_11, Fields(pairs))


def _asked_anew(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """What we ask of the next server because the client asked it of us, and know how to pass on."""
    pairs = []
    if b"trailers" in head.fields.tokens(b"te"):
        pairs.append((b"TE", b"trailers"))
    upgrade = upgrade_requested(head)
    if upgrade is not None:
        pairs.append((b"Upgrade", upgrade))
    if pairs:
        pairs.append((b"Connection", b", ".join(name for name, _ in pairs)))
    return pairs


def forwarded_response(head: ResponseHead, pseudonym: bytes) -> ResponseHead:
    """The head to send to the client: no hop-by-hop fields, Via. Framing is left to the caller."""
    bodiless = head.status < 200 or head.status == 204
    pairs = _forwardable(head.fields, _NOT_WITHOUT_BODY if bodiless else HOP_BY_HOP)
    pairs.append(_via(head.version, pseudonym))
    return ResponseHead(head.status, head.reason, HTTP_11, Fields(pairs))


def has_loop(fields: Fields, pseudonym: bytes) -> bool:
    """Whether Via says that this message has been through us, or through too many (9110 7.6.3)."""
    if b"via" not in fields:
        return False
    entries = [entry.split() for entry in fields.tokens(b"via")]
    own = pseudonym.lower()
    return len(entries) > MAX_VIA or any(len(entry) > 1 and entry[1] == own for entry in entries)


def wants_keep_alive(head: RequestHead | ResponseHead) -> bool:
    """Whether the sender of `head` goes on over the stream (RFC 9112 9.3).

    Never in HTTP/1.0: a proxy can't know that an old one before it understands Keep-Alive.
    """
    return head.version >= HTTP_11 and b"close" not in head.fields.tokens(b"connection")


def next_max_forwards(head: RequestHead) -> tuple[int | None, RequestHead]:
    """For TRACE and OPTIONS, the Max-Forwards that came and the head with one less.

    0 is answered here (RFC 9110 7.6.2); None: there is none. Raises `RemoteProtocolError`.
    """
    value = head.fields.get(b"max-forwards")
    if value is None or head.method not in (b"TRACE", b"OPTIONS"):
        return None, head
    if not _NUMBER.fullmatch(value):
        raise RemoteProtocolError("Max-Forwards is not one number")
    forwards = min(int(value), MAX_FORWARDS)
    if not forwards:
        return 0, head
    fields = head.fields.without((b"max-forwards",)).adding(b"Max-Forwards", b"%d" % (forwards - 1))
    return forwards, RequestHead(head.method, head.target, head.version, fields)


def expects_continue(head: RequestHead) -> bool:
    """Whether the client waits for 100 before its body (RFC 9110 10.1.1); never in HTTP/1.0.

    Raises `RemoteProtocolError` (EXPECTATION_FAILED) for an expectation that we don't know.
    """
    expectations = head.fields.tokens(b"expect")
    if head.version < HTTP_11 or not expectations:
        return False
    if expectations != [b"100-continue"]:
        raise RemoteProtocolError("unknown expectation", Failure.EXPECTATION_FAILED)
    return True


def upgrade_requested(head: RequestHead) -> bytes | None:
    """The Upgrade that this request asks for, None where it does not (RFC 9110 7.8)."""
    if head.version < HTTP_11 or b"upgrade" not in head.fields.tokens(b"connection"):
        return None
    return upgrade_named(head.fields)


def upgrade_named(fields: Fields) -> bytes | None:
    """The protocols that Upgrade names, as one value that can be written; None for none."""
    return b", ".join(value for value in fields.get_all(b"upgrade") if value) or None


def is_idempotent(method: bytes) -> bool:
    """Whether a request with this method may be sent again by itself (RFC 9110 9.2.2)."""
    return method in _IDEMPOTENT


def binds_connection(head: RequestHead | ResponseHead) -> bool:
    """Whether an authentication in this head belongs to the stream it goes over (NTLM …)."""
    return head.fields.has_any(_BINDING) and any(
        value.lower().startswith(_BOUND_SCHEMES)
        for name in _BINDING
        for value in head.fields.get_all(name)
    )
