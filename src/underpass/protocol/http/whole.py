"""Messages that have come whole, in one piece: most have, and need no reader that can wait.

What these functions take is what the readers of `message` would take, with the same meaning; what
they do not take (it is longer, shorter, unusual or malformed) they leave to those, unchanged.
"""

from __future__ import annotations

from underpass.errors import RemoteProtocolError
from underpass.protocol.http.framing import (
    NO_BODY,
    BodyKind,
    request_framing,
    response_framing,
)
from underpass.protocol.http.head import (
    HeadLimits,
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)

_LENGTH = BodyKind.LENGTH


def whole_request(data: bytes, limits: HeadLimits) -> RequestHead | None:
    """The head of the request that `data` is, without a body and with nothing after it; or None."""
    size = len(data)
    if size > limits.section or data.find(b"\r\n\r\n") != size - 4 or data.startswith(b"\r"):
        return None
    try:
        head = parse_request_head(data, limits)
        return head if request_framing(head) is NO_BODY else None
    except RemoteProtocolError:
        return None


def whole_response(
    data: bytes, request_method: bytes, limits: HeadLimits
) -> tuple[ResponseHead, bytes] | None:
    """The final response to `request_method` that `data` is, to its last byte, as head and body."""
    end = data.find(b"\r\n\r\n") + 4
    if not 4 <= end <= limits.section:
        return None
    try:
        head = parse_response_head(data[:end], limits)
        framing = response_framing(head, request_method)
    except RemoteProtocolError:
        return None
    if head.status < 200 or not (framing is NO_BODY or framing.kind is _LENGTH):
        return None
    return (head, data[end:]) if len(data) == end + framing.length else None
