"""Which tokens a password makes, and which the system's tickets."""

from __future__ import annotations

import pytest
import spnego.exceptions

from tests.unit.outbound.guarded_parents import CORP, accounts
from underpass.outbound.token_credentials import token_context

__all__ = ["accounts"]


@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
def test_a_password_is_for_ntlm_alone(scheme: str) -> None:
    context = token_context(scheme, CORP, "proxy.example")
    assert "kerberos" not in context.available_protocols()
    assert b"NTLMSSP" in (context.step(None) or b"")


def test_the_service_is_named_as_tickets_name_it() -> None:
    assert token_context("negotiate", CORP, "proxy.example").spn == "HTTP/proxy.example"


def test_what_is_kept_for_ntlm_is_no_ticket(
    accounts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests may have tickets.
    monkeypatch.setenv("KRB5CCNAME", "FILE:/nowhere/tickets")
    context = token_context("negotiate", None, "proxy.example")
    with pytest.raises(spnego.exceptions.SpnegoError):
        context.step(None)
