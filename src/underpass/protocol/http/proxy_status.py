"""The Proxy-Status field (RFC 9209): which proxy failed, and why, for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import http_sf

from underpass.errors import Failure

# As much detail as helps; the field travels through every proxy on the way back.
MAX_DETAILS = 200


def printable(text: str) -> str:
    """`text` as one line of printable ASCII, all that a structured String may hold (RFC 9651)."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_DETAILS]


def proxy_status(
    identity: str,
    failure: Failure,
    details: str = "",
    parameters: Mapping[str, str | int] | None = None,
) -> bytes:
    """One member for the proxy `identity`, with its `error` as a Token and further parameters."""
    values: dict[str, Any] = {"error": http_sf.Token(failure.proxy_error)}
    for name, value in (parameters or {}).items():
        values[name] = printable(value) if isinstance(value, str) else value
    if details:
        values["details"] = printable(details)
    member: Any = (http_sf.Token(identity), values)
    return http_sf.ser([member]).encode("ascii")
