"""Each error of the system becomes the failure that a client understands."""

from __future__ import annotations

import errno
import ssl

import pytest

from underpass.errors import Failure
from underpass.net.os_errors import failure_of


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(errno.ECONNREFUSED, "refused"), Failure.CONNECTION_REFUSED),
        (OSError(errno.ETIMEDOUT, "timed out"), Failure.CONNECTION_TIMEOUT),
        (OSError(errno.ENETUNREACH, "net"), Failure.NETWORK_UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "host"), Failure.HOST_UNREACHABLE),
        (OSError(errno.EADDRNOTAVAIL, "ports"), Failure.CONNECTION_LIMIT),
        (OSError(errno.EMFILE, "files"), Failure.CONNECTION_LIMIT),
        (OSError(errno.ECONNRESET, "reset"), Failure.CONNECTION_TERMINATED),
        (OSError("without a number"), Failure.CONNECTION_TERMINATED),
        (OSError(errno.EXDEV, "odd"), Failure.HOST_UNREACHABLE),
        (ssl.SSLCertVerificationError(1, "self-signed"), Failure.UPSTREAM_CERTIFICATE),
        (ssl.SSLError(1, "wrong version"), Failure.UPSTREAM_TLS),
    ],
)
def test_error_becomes_its_failure(error: OSError, failure: Failure) -> None:
    assert failure_of(error) is failure
