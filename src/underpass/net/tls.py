"""TLS contexts for listeners: made once, their certificates replaceable while they are in use."""

from __future__ import annotations

import ssl
from pathlib import Path

from underpass.errors import ConfigurationError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for listeners: TLS 1.2 or later, HTTP/1.1 by ALPN. Raises `ConfigurationError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # 0-RTT would run a CONNECT that may be a replay (RFC 8470): Python never accepts it.
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Use another certificate from the next handshake on. Raises `ConfigurationError`.

    A pair that does not fit leaves `context` as it was.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_pass)
        context.load_cert_chain(certificate, key, password=_no_pass)
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise ConfigurationError(f"tls_cert {certificate}, tls_key {key}: {reason}") from error


def _no_pass() -> str:
    # Without it OpenSSL asks on the terminal, and a service hangs at its start.
    raise ValueError("the key is encrypted; store it decrypted with mode 0600")
