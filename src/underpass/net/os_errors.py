"""The one boundary where an `OSError` becomes one of our failures."""

from __future__ import annotations

import errno
import ssl

from underpass.errors import Failure, StreamError, StreamReset, StreamTimeout

_FAILURES = {
    errno.ECONNREFUSED: Failure.CONNECTION_REFUSED,
    errno.ECONNRESET: Failure.CONNECTION_TERMINATED,
    errno.EPIPE: Failure.CONNECTION_TERMINATED,
    errno.ETIMEDOUT: Failure.CONNECTION_TIMEOUT,
    errno.ENETUNREACH: Failure.NETWORK_UNREACHABLE,
    errno.ENETDOWN: Failure.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Failure.HOST_UNREACHABLE,
    errno.EHOSTDOWN: Failure.HOST_UNREACHABLE,
    # The kernel forbids it, as a local firewall rule does.
    errno.EACCES: Failure.NETWORK_UNREACHABLE,
    errno.EPERM: Failure.NETWORK_UNREACHABLE,
    # No source address of that family, or no free port towards the destination.
    errno.EADDRNOTAVAIL: Failure.CONNECTION_LIMIT,
    # Out of files or memory: ours to say, and it may pass.
    errno.EMFILE: Failure.CONNECTION_LIMIT,
    errno.ENFILE: Failure.CONNECTION_LIMIT,
    errno.ENOBUFS: Failure.CONNECTION_LIMIT,
    errno.ENOMEM: Failure.CONNECTION_LIMIT,
}


def failure_of(error: OSError) -> Failure:
    """Return the failure that `error` stands for; an unknown one is an unreachable host."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure.UPSTREAM_CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return Failure.UPSTREAM_TLS
    if error.errno is None:
        return Failure.CONNECTION_TERMINATED
    return _FAILURES.get(error.errno, Failure.HOST_UNREACHABLE)


def stream_error(error: Exception | None) -> StreamError:
    """Return how a stream was lost whose transport tells `error`, None for bytes that stopped."""
    if error is None:
        return StreamReset("ended without its end marker")
    if isinstance(error, TimeoutError):
        return StreamTimeout("the other end stopped answering")
    return StreamReset(f"reset by the other end: {error}")
