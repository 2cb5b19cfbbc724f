"""Contexts for listeners: what they accept, and how their certificate is replaced."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from underpass.errors import ConfigurationError
from underpass.net.tls import load_certificate, server_context

AUTHORITY = trustme.CA()


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for `name` and its key."""
    issued = AUTHORITY.issue_cert(name)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


def served_name(context: ssl.SSLContext, offers: list[str] | None = None) -> tuple[str, str | None]:
    """The name and the protocol that a client gets from a server with `context`."""
    client = ssl.create_default_context()
    AUTHORITY.configure_trust(client)
    client.check_hostname = False
    client.set_alpn_protocols(offers or ["h2", "http/1.1"])
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server)
    there = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = x509.load_der_x509_certificate(here.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [name] = names.get_values_for_type(x509.DNSName)
    return name, here.selected_alpn_protocol()


def test_a_context_serves_its_certificate_and_http_1_alone(tmp_path: Path) -> None:
    context = server_context(*pair(tmp_path, "one.example"))
    assert served_name(context) == ("one.example", "http/1.1")
    assert served_name(context, ["h2"]) == ("one.example", None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_another_certificate_holds_from_the_next_handshake_on(tmp_path: Path) -> None:
    context = server_context(*pair(tmp_path, "one.example"))
    load_certificate(context, *pair(tmp_path, "two.example"))
    assert served_name(context)[0] == "two.example"


def test_a_pair_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    context = server_context(*pair(tmp_path, "one.example"))
    certificate, _ = pair(tmp_path, "two.example")
    _, key = pair(tmp_path, "three.example")
    with pytest.raises(ConfigurationError, match=r"tls_key: .*three\.example\.key: not the key"):
        load_certificate(context, certificate, key)
    assert served_name(context)[0] == "one.example"


def test_a_file_that_is_missing_or_empty_is_told(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "one.example")
    (tmp_path / "empty").write_text("")
    for wrong in (tmp_path / "missing", tmp_path / "empty"):
        for files in ((wrong, key), (certificate, wrong)):
            with pytest.raises(ConfigurationError, match=f"{wrong}"):
                server_context(*files)


def test_an_encrypted_key_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "one.example")
    loaded = load_pem_private_key(key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    key.write_bytes(
        loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)
    )
    with pytest.raises(ConfigurationError, match="the key is encrypted"):
        server_context(certificate, key)


def test_what_only_looks_like_a_certificate_is_told(tmp_path: Path) -> None:
    certificate, key = pair(tmp_path, "one.example")
    certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigurationError, match=r"tls_key: .*one\.example\.pem can't be used"):
        server_context(certificate, key)
