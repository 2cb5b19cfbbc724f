"""A certificate of the server's own making, for who has no domain: clients know it by its pin.

The key and the certificate stand in one file of the state directory. The pin is the SHA-256 of the
public key (SubjectPublicKeyInfo, as RFC 7469 has it), so it outlives the certificate.
"""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from underpass.errors import ConfigurationError
from underpass.server.state_files import make_secret_file, read_secret_file

FILE = "tls-self.pem"

# Nobody checks when it ends but clients that pin it; it lasts as long as the key.
LIFE = datetime.timedelta(days=20 * 365)
# Clocks differ, and time zones are mistaken.
EARLIER = datetime.timedelta(days=2)

# Says nothing of us.
NAME = "localhost"


def own_certificate(directory: Path) -> Path:
    """The PEM file with key and certificate, made at the first use. Raises `ConfigurationError`."""
    path = directory / FILE
    if read_secret_file(path) is None:
        make_secret_file(path, _make())
    pin_of(path)
    return path


def own_pin(directory: Path) -> bytes:
    """The pin of that certificate where one was made, else empty. Raises `ConfigurationError`."""
    path = directory / FILE
    return b"" if read_secret_file(path) is None else pin_of(path)


def pin_of(path: Path) -> bytes:
    """The pin of the first certificate in a PEM file. Raises `ConfigurationError`."""
    try:
        certificate = x509.load_pem_x509_certificate(read_secret_file(path) or b"")
    except ValueError:
        raise ConfigurationError(f"{path}: holds no certificate") from None
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def _make() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM)
