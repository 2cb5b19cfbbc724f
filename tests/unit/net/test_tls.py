"""Certificates of listeners: what is said about those that cannot be used."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from underpass.errors import ConfigurationError
from underpass.net.tls import load_certificate, server_context


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, keys, and what is neither."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for name in ("a", "b"):
        leaf = authority.issue_cert(f"{name}.example")
        leaf.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    key = load_pem_private_key((folder / "a.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (folder / "locked.key").write_bytes(locked)
    (folder / "junk").write_bytes(b"junk")
    mark = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    (folder / "broken.pem").write_bytes(mark)
    return folder


def test_pair_makes_a_context_for_tls_1_2_and_later(folder: Path) -> None:
    context = server_context(folder / "a.pem", folder / "a.key")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("missing", "a.key", "tls_cert: {}/missing: cannot be read: No such file or directory"),
        ("a.pem", "missing", "tls_key: {}/missing: cannot be read: No such file or directory"),
        ("junk", "a.key", "tls_cert: {}/junk: holds no certificate in PEM"),
        ("a.pem", "junk", "tls_key: {}/junk: holds no private key in PEM"),
        ("a.key", "a.pem", "tls_cert: {}/a.key: holds no certificate in PEM"),
        ("a.pem", "b.key", "tls_key: {0}/b.key: not the key that belongs to {0}/a.pem"),
        ("a.pem", "locked.key", "tls_key: {}/locked.key: the key is encrypted"),
        ("broken.pem", "a.key", "tls_key: {0}/a.key: this and {0}/broken.pem can't be used: "),
    ],
)
def test_pair_that_cannot_be_used_is_refused_with_file_and_reason(
    folder: Path, certificate: str, key: str, reason: str
) -> None:
    context = server_context(folder / "a.pem", folder / "a.key")
    with pytest.raises(ConfigurationError, match=re.escape(reason.format(folder))):
        load_certificate(context, folder / certificate, folder / key)
