"""The certificates that a box makes."""

from __future__ import annotations

import ssl

import pytest

from underpass.testing.middlebox.authority import BoxAuthority


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Both ends of a handshake, in memory."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(down, up, server_hostname=host)
    there = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for end in (here, there):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("host", ["server.example", "127.0.0.1", "::1"])
def test_who_trusts_it_accepts_its_certificates(host: str) -> None:
    authority = BoxAuthority()
    context = ssl.create_default_context(cadata=authority.pem.decode())
    shake_hands(authority.context(host), context, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.context(host), context, "another.example")


def test_who_does_not_refuses_them() -> None:
    authority = BoxAuthority()
    context = ssl.create_default_context(cadata=BoxAuthority().pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(authority.context("a.example"), context, "a.example")


def test_a_host_has_one_certificate() -> None:
    authority = BoxAuthority()
    assert authority.context("a.example") is authority.context("a.example")
