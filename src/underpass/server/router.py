"""Which requests are a carrier's, and what they ask for (docs/carriers.md section 1). Pure."""

from __future__ import annotations

import base64
import binascii
import enum
import re
from dataclasses import dataclass

from underpass.carriers.pieces import NUMBER, TOKEN, decode_data
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.rules import upgrade_requested
from underpass.protocol.http.target import TargetForm, form_of, parse_absolute

_KEY_BYTES = 16


class Act(enum.Enum):
    """What a request of a carrier is for."""

    OPEN = "open"
    WEBSOCKET = "websocket"
    UP = "up"
    DOWN = "down"
    STREAM = "stream"
    EXCHANGE = "exchange"
    END = "end"


@dataclass(frozen=True, slots=True)
class Place:
    """What a request asks for, of the carrier `token`.

    `data` is what its target carries: an opening message (OPEN without it has that in its body) or
    a piece (EXCHANGE). `number` is that of the piece each way.
    """

    act: Act
    token: str
    number: int = 0
    data: bytes = b""


_NUMBER = f"(?P<number>{NUMBER.pattern})"
_DATA = r"(?P<data>[A-Za-z0-9_-]+)"

# Method and what stands behind the token.
_ROWS = tuple(
    (method, re.compile(f"/(?P<token>{TOKEN.pattern}){rest}"), act)
    for method, rest, act in (
        (b"PUT", "", Act.OPEN),
        (b"POST", "/open", Act.OPEN),
        (b"GET", f"/0/{_DATA}", Act.OPEN),
        (b"POST", f"/{_NUMBER}", Act.UP),
        (b"GET", f"/{_NUMBER}", Act.DOWN),
        (b"POST", f"/down/{_NUMBER}", Act.DOWN),
        (b"GET", "/down", Act.STREAM),
        (b"GET", f"/{_NUMBER}/{_DATA}", Act.EXCHANGE),
        (b"DELETE", "", Act.END),
        (b"POST", "/end", Act.END),
        (b"GET", "/end", Act.END),
    )
)
_WEBSOCKET_ROW = (b"GET", re.compile(f"/(?P<token>{TOKEN.pattern})/{_DATA}"), Act.WEBSOCKET)


def route(head: RequestHead, prefix: str) -> Place | None:
    """Return what `head` asks for below `prefix`; None where it is any visitor's.

    That it looks like a carrier's says nothing of whether there is such a carrier.
    """
    try:
        path = _path(head)
        if path is None or not path.startswith(prefix):
            return None
        return _below(head, path[len(prefix) :])
    except RemoteProtocolError:
        return None


def _path(head: RequestHead) -> str | None:
    match form_of(head):
        case TargetForm.ORIGIN:
            target = head.target
        case TargetForm.ABSOLUTE:
            # RFC 9112 3.2.2: a server takes these too, as from a box that is no good proxy.
            target = parse_absolute(head.target, head.method).origin_form
        case _:
            return None
    return target.decode("ascii")


def _below(head: RequestHead, path: str) -> Place | None:
    rows = (_WEBSOCKET_ROW,) if _wants_websocket(head) else _ROWS
    for method, shape, act in rows:
        if head.method == method and (found := shape.fullmatch(path)):
            parts = found.groupdict()
            data = decode_data(parts["data"]) if parts.get("data") else b""
            return Place(act, parts["token"], int(parts.get("number") or 0), data)
    return None


def _wants_websocket(head: RequestHead) -> bool:
    """Whether a WebSocket is asked for, in the one way that RFC 6455 section 4.1 allows."""
    fields = head.fields
    return (
        (upgrade_requested(head) or b"").lower() == b"websocket"
        and fields.get(b"sec-websocket-version") == b"13"
        and _is_key(fields.get(b"sec-websocket-key") or b"")
    )


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
