"""`ServerTls`: TLS to the tunnel's server, and what was seen of who answered (decisions/009).

Records are encrypted and proved end to end inside of it, so TLS is here for two things: to look
like what networks let through, and to tell the user when somebody opens it on the way.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from underpass.address import Address
from underpass.errors import ConfigurationError, DialError, Failure
from underpass.net.connect import connect_tls
from underpass.net.stream import Dial, Stream
from underpass.net.transport import TransportStream

if TYPE_CHECKING:
    from cryptography import x509

# A handshake is two round trips; through a chain of slow proxies that is a few seconds.
TLS_SECONDS = 15.0

# What is shown of a name in a certificate, which whoever made it wrote.
_SHOWN = 80


@enum.unique
class Proof(enum.Enum):
    """What the certificate that was shown proves of who answered."""

    PINNED = "its key is the one that the invite names"
    SYSTEM = "somebody whom this system trusts says that it is the server's"
    FOREIGN = "this system trusts it, but it is not the one that the invite names"
    NOTHING = "nobody whom this system trusts says that it is the server's"


@dataclass(frozen=True, slots=True)
class TlsSeen:
    """The certificate that a server, or a box before it, has shown. Names are for people."""

    proof: Proof
    subject: str
    issuer: str

    @property
    def is_opened(self) -> bool:
        """Whether somebody on the way opens TLS for certain."""
        return self.proof is Proof.FOREIGN


@dataclass(frozen=True, slots=True)
class Trust:
    """What makes a server's certificate good.

    pin: SHA-256 of the leaf's SubjectPublicKeyInfo, from the invite; then no name and no
        authority is asked.
    authorities: a PEM file of authorities beside the system's.
    lets_open: with a pin, go on over a certificate that is not the pinned one, if the system
        trusts it: a network that opens TLS. The inner session is not opened by that.
    """

    pin: bytes | None = field(default=None, repr=False)
    authorities: Path | None = None
    lets_open: bool = True


class ServerTls:
    """Starts TLS on streams to one server. `tell` hears what was seen when that changes."""

    def __init__(self, trust: Trust, tell: Callable[[TlsSeen], None] = lambda seen: None) -> None:
        self._trust = trust
        self._tell = tell
        self._seen: TlsSeen | None = None
        self._unverified = _unverified()
        self._verified = _verified(trust.authorities)
        # Whether the network opens TLS, as far as is known: then a pin is not hoped for first.
        self._expects_foreign = False

    @property
    def seen(self) -> TlsSeen | None:
        """What was shown last; None before the first handshake."""
        return self._seen

    def dial(self, dial: Dial) -> Dial:
        """The dial that opens a stream by `dial` and starts TLS on it."""

        async def open_tls(address: Address) -> Stream:
            return await self._open(dial, address)

        return open_tls

    async def _open(self, dial: Dial, address: Address) -> Stream:
        pin = self._trust.pin
        if pin is not None and not self._expects_foreign:
            stream, certificate = await self._look(dial, address)
            if hmac.compare_digest(key_hash(certificate), pin):
                self._see(Proof.PINNED, certificate)
                return stream
            stream.abort()
            if not self._trust.lets_open:
                self._see(Proof.FOREIGN, certificate)
                raise _opened(address, certificate, "it is not the one that the invite names")
        return await self._open_verified(dial, address)

    async def _open_verified(self, dial: Dial, address: Address) -> Stream:
        stream = await _reached(dial, address)
        try:
            stream = await _start(stream, address, self._verified)
        except DialError as error:
            if error.failure is not Failure.UPSTREAM_CERTIFICATE:
                raise
            # The network may have stopped to open TLS: the next dial looks for the pin again.
            self._expects_foreign = False
            unproved, certificate = await self._look(dial, address)
            unproved.abort()
            self._see(Proof.NOTHING, certificate)
            raise _opened(address, certificate, error.details) from error
        certificate = _certificate(stream)
        pin = self._trust.pin
        is_pinned = pin is not None and hmac.compare_digest(key_hash(certificate), pin)
        self._expects_foreign = pin is not None and not is_pinned
        if is_pinned:
            self._see(Proof.PINNED, certificate)
        else:
            self._see(Proof.SYSTEM if pin is None else Proof.FOREIGN, certificate)
        return stream

    async def _look(self, dial: Dial, address: Address) -> tuple[TransportStream, bytes]:
        """Start TLS with whoever answers. Raises `DialError`."""
        stream = await _start(await _reached(dial, address), address, self._unverified)
        return stream, _certificate(stream)

    def _see(self, proof: Proof, certificate: bytes) -> None:
        subject, issuer = _names(certificate)
        seen = TlsSeen(proof, subject, issuer)
        if seen != self._seen:
            self._seen = seen
            self._tell(seen)


def key_hash(certificate: bytes) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a certificate in DER (RFC 7469 2.4), a pin.

    Raises `DialError` (UPSTREAM_TLS) for what is no certificate.
    """
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see `_parse`
        Encoding,
        PublicFormat,
    )

    key = _parse(certificate).public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def _parse(certificate: bytes) -> x509.Certificate:
    from cryptography import x509  # noqa: PLC0415 - slow to load, and http:// does without it

    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        # OpenSSL takes more than is in order.
        raise DialError(Failure.UPSTREAM_TLS, "a malformed certificate") from error


def _names(certificate: bytes) -> tuple[str, str]:
    parsed = _parse(certificate)
    return _shown(parsed.subject), _shown(parsed.issuer)


def _shown(name: x509.Name) -> str:
    """A name as one printable line: a stranger wrote it."""
    text = name.rfc4514_string()
    safe = "".join(character if character.isprintable() else "?" for character in text)
    return safe if len(safe) <= _SHOWN else safe[: _SHOWN - 1] + "…"


def _opened(address: Address, certificate: bytes, why: str) -> DialError:
    subject, issuer = _names(certificate)
    details = (
        f"somebody opens TLS to {address}, or another server answers: the certificate is of "
        f"{subject or 'nobody'}, issued by {issuer or 'nobody'}: {why}"
    )
    return DialError(Failure.UPSTREAM_CERTIFICATE, details)


async def _reached(dial: Dial, address: Address) -> TransportStream:
    """A stream that TLS can be started on."""
    stream = await dial(address)
    if not isinstance(stream, TransportStream):
        stream.abort()
        raise DialError(Failure.UPSTREAM_TLS, "TLS needs a stream of the system")
    if not stream.is_quiet:
        # A server says nothing before the client does.
        stream.abort()
        raise _no_tls(address)
    return stream


async def _start(
    stream: TransportStream, address: Address, context: ssl.SSLContext
) -> TransportStream:
    try:
        return await connect_tls(stream, context, address.host, TLS_SECONDS)
    except DialError as error:
        if error.failure is Failure.UPSTREAM_TLS:
            raise _no_tls(address) from error
        raise


def _no_tls(address: Address) -> DialError:
    details = (
        f"what answers for {address} does not speak TLS: perhaps a page of the network that wants "
        "a login or a click first; open any http:// page in a browser"
    )
    return DialError(Failure.UPSTREAM_TLS, details)


def _certificate(stream: TransportStream) -> bytes:
    tls = cast("ssl.SSLObject", stream.transport.get_extra_info("ssl_object"))
    certificate = tls.getpeercert(binary_form=True)
    if certificate is None:
        stream.abort()
        raise DialError(Failure.UPSTREAM_TLS, "a server without a certificate")
    return certificate


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _verified(authorities: Path | None) -> ssl.SSLContext:
    import truststore  # noqa: PLC0415 - only where the system is to be asked

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if authorities is not None:
        try:
            context.load_verify_locations(authorities)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"authorities: {authorities}: {error}") from error
    return context
