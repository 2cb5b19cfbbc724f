"""Every exception underpass raises on purpose, and the table of failures.

::

    UnderpassError
    ├── ConfigurationError        an option is wrong; nothing was started
    ├── ProtocolError             bytes or calls that break a protocol
    │   ├── LocalProtocolError    our own caller did
    │   └── RemoteProtocolError   the other end did; carries the Failure to answer with
    ├── StreamError               a stream that was open ended badly
    │   ├── StreamReset           the other end reset it (TCP RST, RESET frame)
    │   ├── StreamClosed          our own side had already ended it
    │   └── StreamTimeout         a deadline passed
    ├── DialError                 a stream could not be opened; carries the Failure
    │   ├── Forbidden             because policy says no
    │   └── LoginRefused          because a proxy takes no such user and password
    └── UserError                 the user store refuses: unknown, duplicate or bad name

Whatever else escapes is a bug of ours. `OSError` becomes one of these at one boundary, in
`underpass.net`.
"""

from __future__ import annotations

import enum


@enum.unique
class Failure(enum.Enum):
    """Why something was refused or failed, with the code each protocol has for it.

    A member holds the HTTP status, the RFC 9209 `error` token (None where the RFC has none that
    fits) and the SOCKS5 reply (RFC 1928 section 6). The name travels in our own frames.
    """

    BAD_REQUEST = (400, "http_request_error", 0x01, "bad request")
    BAD_TARGET = (400, "http_request_error", 0x01, "bad target")
    AUTHENTICATION_REQUIRED = (407, "http_request_denied", 0x02, "authentication required")
    FORBIDDEN = (403, "http_request_denied", 0x02, "forbidden by policy")
    IP_PROHIBITED = (403, "destination_ip_prohibited", 0x02, "destination address prohibited")
    NOT_FOUND = (404, "http_request_error", 0x01, "not found")
    METHOD_NOT_ALLOWED = (405, "http_request_error", 0x07, "method not allowed")
    REQUEST_TIMEOUT = (408, "http_request_error", 0x01, "request took too long")
    BODY_TOO_LARGE = (413, "http_request_error", 0x01, "body too large")
    TARGET_TOO_LONG = (414, "http_request_error", 0x01, "target too long")
    EXPECTATION_FAILED = (417, "http_request_error", 0x01, "unknown expectation")
    TOO_MANY_REQUESTS = (429, "http_request_error", 0x02, "too many requests")
    HEADERS_TOO_LARGE = (431, "http_request_error", 0x01, "header section too large")
    INTERNAL = (500, "proxy_internal_error", 0x01, "internal error")
    NOT_IMPLEMENTED = (501, "http_request_error", 0x07, "not implemented")
    VERSION_NOT_SUPPORTED = (505, "http_request_error", 0x01, "HTTP version not supported")
    DNS_ERROR = (502, "dns_error", 0x04, "name could not be resolved")
    DNS_TIMEOUT = (504, "dns_timeout", 0x04, "name server did not answer")
    CONNECTION_REFUSED = (502, "connection_refused", 0x05, "connection refused")
    CONNECTION_TIMEOUT = (504, "connection_timeout", 0x04, "connection timed out")
    CONNECTION_TERMINATED = (502, "connection_terminated", 0x01, "connection ended early")
    NETWORK_UNREACHABLE = (502, "destination_ip_unroutable", 0x03, "network unreachable")
    HOST_UNREACHABLE = (502, "destination_ip_unroutable", 0x04, "host unreachable")
    CONNECTION_LIMIT = (503, "connection_limit_reached", 0x01, "connection limit reached")
    DRAINING = (503, "proxy_internal_response", 0x01, "shutting down")
    TUNNEL_DOWN = (503, "destination_unavailable", 0x01, "the tunnel is down")
    LOOP = (502, "proxy_loop_detected", 0x01, "proxy loop")
    UPSTREAM_REFUSED = (502, "http_request_error", 0x01, "upstream proxy refused")
    UPSTREAM_PROTOCOL = (502, "http_protocol_error", 0x01, "next server broke the protocol")
    UPSTREAM_TLS = (502, "tls_protocol_error", 0x01, "TLS failed")
    UPSTREAM_CERTIFICATE = (502, "tls_certificate_error", 0x01, "TLS certificate not trusted")
    RESPONSE_INCOMPLETE = (502, "http_response_incomplete", 0x01, "response incomplete")
    RESPONSE_HEADERS_TOO_LARGE = (
        502,
        "http_response_header_section_size",
        0x01,
        "response header section too large",
    )
    RESPONSE_TIMEOUT = (504, "http_response_timeout", 0x01, "no response in time")

    def __init__(self, status: int, proxy_error: str, socks_reply: int, phrase: str) -> None:
        self.status = status
        self.proxy_error = proxy_error
        self.socks_reply = socks_reply
        self.phrase = phrase


class UnderpassError(Exception):
    """Base of every exception that underpass raises on purpose."""


class ConfigurationError(UnderpassError):
    """An option is wrong. The text names where it stands, the key and the reason."""


class ProtocolError(UnderpassError):
    """A protocol was broken; `failure` says how to answer."""

    def __init__(self, reason: str, failure: Failure = Failure.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.failure = failure


class LocalProtocolError(ProtocolError):
    """Our own caller broke the protocol: a bug on this side."""


class RemoteProtocolError(ProtocolError):
    """The other end broke the protocol. The only exception that bytes from a network cause."""


class StreamError(UnderpassError):
    """A stream that was open ended badly."""


class StreamReset(StreamError):  # noqa: N818 - reads as what happened
    """The other end reset the stream; bytes in flight may be lost."""


class StreamClosed(StreamError):  # noqa: N818 - reads as what happened
    """This end had ended the stream already."""


class StreamTimeout(StreamError):  # noqa: N818 - reads as what happened
    """A deadline on the stream passed."""


class DialError(UnderpassError):
    """A stream could not be opened; `failure` says why, `details` is one printable line."""

    def __init__(
        self, failure: Failure, details: str = "", *, parameters: dict[str, str | int] | None = None
    ) -> None:
        super().__init__(f"{failure.phrase}: {details}" if details else failure.phrase)
        self.failure = failure
        self.details = details
        # Further RFC 9209 parameters, such as rcode="NXDOMAIN" or received-status=407.
        self.parameters = parameters or {}


class Forbidden(DialError):  # noqa: N818 - reads as what happened
    """Policy does not allow the address."""


class LoginRefused(DialError):  # noqa: N818 - reads as what happened
    """An upstream proxy refused our user and password."""


class UserError(UnderpassError):
    """The user store refuses what was asked: an unknown, duplicate or malformed name."""
