"""Logins that are bound to their stream: NTLM and Negotiate, leg by leg and through proxies."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest
import spnego

from tests.unit.outbound.guarded_parents import (
    CORP,
    WRONG,
    GuardedParent,
    TokenGuard,
    accounts,
)
from tests.unit.outbound.relaying import server
from underpass.address import Address
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.server_url import ServerUrl
from underpass.errors import DialError
from underpass.net.resolve import Resolver
from underpass.outbound.bound_login import MAX_TOKEN, BoundLogin, has_tickets
from underpass.outbound.direct import Direct
from underpass.outbound.upstream import Upstream
from underpass.outbound.upstream_route import UpstreamRoute
from underpass.outbound.via import Via
from underpass.protocol.http.digest import Login

SITE = Address("site.example", 443)
SCHEMES = ["NTLM", "Negotiate"]

__all__ = ["accounts"]


def upstream(port: int, login: Login | None = CORP) -> Upstream:
    direct = Direct(Resolver(1.0, lambda host: ["127.0.0.1"]))
    account = (login.user, login.password) if login else ()
    return Upstream(Via("http", Address("proxy.example", port), *account), direct.open)


def client_of(through: Upstream) -> HttpClient:
    url = ServerUrl.parse("http://site.example")
    return HttpClient(url, lambda: UpstreamRoute(through.reach, through.login()))


async def get(client: HttpClient) -> bytes:
    return (await client.exchange(Request("GET", "TOKEN"))).body


# --- leg by leg


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_tokens_go_to_and_fro_until_all_is_said(scheme: str, accounts: None) -> None:
    login = await BoundLogin.begin(scheme.lower(), CORP, "proxy.example")
    acceptor = spnego.server("proxy.example", "http", protocol=scheme.lower())
    while not acceptor.complete:
        answer = login.answer()
        assert answer is not None
        said_scheme, token = answer.split(b" ")
        assert said_scheme == scheme.encode()
        reply = acceptor.step(base64.b64decode(token))
        if reply:
            await login.take(base64.b64encode(reply).decode())
    assert login.answer() is None


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "token", ["?", "AAAA", "TlRMTVNTUAACAAAA", "YIIB", "TlRM" * 50, "A" * (MAX_TOKEN + 4)]
)
async def test_a_token_that_is_none_ends_the_login(scheme: str, token: str) -> None:
    login = await BoundLogin.begin(scheme.lower(), CORP, "proxy.example")
    with pytest.raises(DialError, match=f"no login by {scheme.lower()}: "):
        await login.take(token)


async def test_without_a_library_there_are_no_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not has_tickets()


async def test_tickets_need_their_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DialError, match=r"tickets need libraries: pip install 'underpass\[kerb"):
        await BoundLogin.begin("negotiate", None, "proxy.example")


async def test_of_layers_of_errors_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "SpnegoError (1): SpnegoError (7): Major (458752): No credentials were supplied, "
        "Minor (2529639053): No Kerberos credentials\navailable, Context: Processing security token"
        ", Context: Unable to negotiate common mechanism"
    )

    def fail(*_: object) -> spnego.ContextProxy:
        raise ValueError(said)

    monkeypatch.setattr("underpass.outbound.token_credentials.token_context", fail)
    with pytest.raises(DialError) as failure:
        await BoundLogin.begin("negotiate", CORP, "proxy.example")
    assert failure.value.details == "no login by negotiate: No Kerberos credentials available"


# --- through proxies


Use = Callable[[Upstream], Awaitable[None]]


async def connect(through: Upstream) -> None:
    (await through.open(SITE)).abort()


async def forward(through: Upstream) -> None:
    client = client_of(through)
    assert await get(client) == b"hi"
    client.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("use", [connect, forward])
async def test_a_login_takes_three_requests_over_one_stream(
    scheme: str, use: Use, accounts: None
) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme))
    async with server(parent) as port:
        through = upstream(port)
        await use(through)
        assert (parent.streams, len(parent.heads), parent.logins) == (1, 3, 2)
        # Every stream logs in anew, and says so at once.
        await use(through)
        assert (parent.streams, len(parent.heads), parent.logins) == (2, 5, 4)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_follows_on_the_stream_says_nothing_more(scheme: str, accounts: None) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme))
    async with server(parent) as port:
        client = client_of(upstream(port))
        for _ in range(4):
            assert await get(client) == b"hi"
        client.close()
    assert (parent.streams, len(parent.heads), parent.logins) == (1, 6, 2)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_login_that_expires_is_made_again_on_the_same_stream(
    scheme: str, accounts: None
) -> None:
    parent = GuardedParent(lambda: TokenGuard(scheme, requests=3))
    async with server(parent) as port:
        client = client_of(upstream(port))
        for _ in range(20):
            assert await get(client) == b"hi"
        client.close()
    assert parent.streams == 1
    assert len(parent.let_in) == 20


@pytest.mark.parametrize("use", [connect, forward])
async def test_a_wrong_password_is_stopped_before_the_account_is_locked(
    use: Use, accounts: None
) -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"))
    async with server(parent) as port:
        through = upstream(port, WRONG)
        for _ in range(3):
            with pytest.raises((DialError, CarrierError), match=r"407|3 times"):
                await use(through)
        asked = len(parent.heads)
        with pytest.raises((DialError, CarrierError), match="not tried again") as caught:
            await use(through)
        assert WRONG.password not in str(caught.value)
        assert len(parent.heads) == asked
    # Two legs each; the second of them shows the password.
    assert parent.logins == 6


@pytest.mark.parametrize("use", [connect, forward])
async def test_a_proxy_that_closes_after_each_407_is_given_up(use: Use, accounts: None) -> None:
    parent = GuardedParent(lambda: TokenGuard("NTLM"), closes=True)
    async with server(parent) as port:
        with pytest.raises((DialError, CarrierError)):
            await use(upstream(port))
    assert parent.streams <= 8
