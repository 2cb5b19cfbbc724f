"""The one login of exposed front ends."""

from __future__ import annotations

import pytest

from underpass.client.login import ClientLogin
from underpass.errors import ConfigurationError
from underpass.protocol.http.credentials import Basic, Bearer


async def test_the_right_credentials_are_let_in() -> None:
    login = ClientLogin.parse("alice:se:cret")
    principal = await login.authenticate(Basic("alice", "se:cret"), "10.0.0.1")
    assert principal is not None
    assert principal.name == "alice"
    assert login.socks.matches(b"alice", b"se:cret")


@pytest.mark.parametrize(
    "given", [Basic("alice", "wrong"), Basic("mally", "secret"), Basic("", ""), Bearer("secret")]
)
async def test_others_are_not(given: Basic | Bearer) -> None:
    assert await ClientLogin.parse("alice:secret").authenticate(given, "10.0.0.1") is None


@pytest.mark.parametrize("text", ["", "alice", "alice:", ":secret", "a" * 256 + ":b"])
def test_what_is_no_login_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClientLogin.parse(text)
    assert text == "" or text not in str(caught.value)


def test_the_password_is_not_printed() -> None:
    assert "secret" not in repr(ClientLogin.parse("alice:secret"))
