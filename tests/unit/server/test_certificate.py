"""The certificate of the server's own making, and the pin that clients know it by."""

from __future__ import annotations

import hashlib
import ssl
import stat
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from underpass.errors import ConfigurationError
from underpass.net.tls import server_context
from underpass.server.certificate import FILE, own_certificate, own_pin, pin_of


def test_it_is_made_at_first_use_and_serves_tls(tmp_path: Path) -> None:
    assert own_pin(tmp_path) == b""
    path = own_certificate(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert own_certificate(tmp_path) == path
    assert path.read_bytes() == before
    assert isinstance(server_context(path, path), ssl.SSLContext)


def test_the_pin_is_of_the_public_key(tmp_path: Path) -> None:
    path = own_certificate(tmp_path)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert own_pin(tmp_path) == pin_of(path) == hashlib.sha256(spki).digest()


def test_it_says_nothing_of_us(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(own_certificate(tmp_path).read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=localhost"
    assert certificate.issuer == certificate.subject


def test_the_pin_of_another_certificate_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    authority = trustme.CA()
    authority.issue_cert("a.example").private_key_and_cert_chain_pem.write_to_path(path)
    path.chmod(0o600)
    assert len(pin_of(path)) == 32
    assert pin_of(path) != pin_of(own_certificate(tmp_path))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_what_is_no_certificate_is_refused(content: bytes, tmp_path: Path) -> None:
    path = own_certificate(tmp_path)
    path.write_bytes(content)
    for ask in (own_certificate, own_pin):
        with pytest.raises(ConfigurationError, match=f"{FILE}: holds no certificate"):
            ask(tmp_path)
