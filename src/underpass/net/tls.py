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
    _check(f"tls_cert: {certificate}", certificate, b"CERTIFICATE-----")
    _check(f"tls_key: {key}", key, b"PRIVATE KEY-----")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_pass)
        context.load_cert_chain(certificate, key, password=_no_pass)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"not the key that belongs to {certificate}"
        else:
            reason = f"this and {certificate} can't be used: {error.reason or error}"
        raise ConfigurationError(f"tls_key: {key}: {reason}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"tls_key: {key}: {error}") from error


def _check(place: str, path: Path, mark: bytes) -> None:
    """Raise `ConfigurationError` for a file that OpenSSL would not take, without saying why."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{place}: cannot be read: {error.strerror}") from None
    if mark not in text:
        what = "certificate" if b"CERT" in mark else "private key"
        raise ConfigurationError(f"{place}: holds no {what} in PEM")


def _no_pass() -> str:
    # Without it OpenSSL asks on the terminal, and a service hangs at its start.
    raise ValueError("the key is encrypted; store it decrypted with mode 0600")
