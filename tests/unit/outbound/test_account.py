"""The login to one proxy, as all streams share it: schemes, turns, and when it is given up."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.outbound.guarded_parents import (
    CORP,
    WRONG,
    BasicGuard,
    DigestGuard,
    Guard,
    GuardedParent,
    TokenGuard,
    accounts,
)
from tests.unit.outbound.jumping import run
from tests.unit.outbound.relaying import server
from tests.unit.outbound.test_bound_login import Use, client_of, connect, forward, get, upstream
from underpass.carriers.base import CarrierError
from underpass.carriers.http_client import Request as HttpRequest
from underpass.errors import DialError
from underpass.outbound.account import EXCLUDED_SECONDS, MAX_REFUSALS, VERDICT_SECONDS, Account
from underpass.outbound.bound_login import has_tickets
from underpass.outbound.login import LoginTries
from underpass.protocol.http.digest import Challenge, Login, Request
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_request

__all__ = ["accounts"]

LOGIN = Login("carol", "open sesame")
GET = Request("GET", "http://site.example/")
DIGEST = Challenge("digest", {"realm": "p", "nonce": "n"})
BASIC = Challenge("basic", {"realm": "p"})
NTLM, NEGOTIATE = Challenge("ntlm", {}), Challenge("negotiate", {})


@pytest.fixture
def account() -> Account:
    return Account(LOGIN, "proxy.example")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([BASIC, DIGEST, NTLM, NEGOTIATE], "negotiate"),
        ([BASIC, NTLM, DIGEST], "ntlm"),
        ([BASIC, DIGEST], "digest"),
        ([BASIC], "basic"),
        ([Challenge("hoba", {})], None),
        ([], None),
    ],
)
def test_the_best_of_those_offered_is_chosen(
    account: Account, offered: list[Challenge], chosen: str | None
) -> None:
    assert account.take(offered) == chosen


async def test_what_cannot_be_used_is_passed_over(account: Account) -> None:
    account.take([NTLM, BASIC])
    account.exclude("ntlm", "no such thing here")
    assert await account.begin() is None
    assert account.take([NTLM, BASIC]) == "basic"
    assert account.problem == "no such thing here"
    assert account.answer(GET) == b"Basic Y2Fyb2w6b3BlbiBzZXNhbWU="


async def test_what_cannot_be_used_now_is_tried_again_later() -> None:
    times = [0.0]
    account = Account(LOGIN, "proxy.example", lambda: times[0])
    account.exclude("negotiate", "no ticket")
    assert account.take([NEGOTIATE, BASIC]) == "basic"
    times[0] = EXCLUDED_SECONDS
    assert account.take([NEGOTIATE, BASIC]) == "negotiate"


def test_what_was_refused_is_not_tried_again_unless_it_was_good_before() -> None:
    times = [0.0]
    for was_good in (False, True):
        account = Account(LOGIN, "proxy.example", lambda: times[0])
        account.take([NEGOTIATE])
        if was_good:
            account.accepted()
        account.exclude_refused("negotiate")
        times[0] += EXCLUDED_SECONDS
        assert (account.take([NEGOTIATE]) == "negotiate") is was_good


def test_without_a_login_tickets_alone_count() -> None:
    tickets = Account(None, "proxy.example")
    assert tickets.can_answer is has_tickets()
    assert tickets.take([NTLM, DIGEST, BASIC]) is None
    assert tickets.answer(GET) is None


def test_a_bound_login_is_no_answer_to_every_request(account: Account) -> None:
    asked = []
    for challenge in (BASIC, NTLM):
        account.take([challenge])
        asked.append(account.answers_unasked)
    assert asked == [True, False]
    assert account.answer(GET) is None


async def test_refusals_in_a_row_end_it(account: Account) -> None:
    for _ in range(MAX_REFUSALS):
        await account.turn()
        account.refused()
    with pytest.raises(DialError, match="not tried again") as caught:
        await account.turn()
    assert LOGIN.password not in str(caught.value)


async def test_one_that_is_accepted_begins_the_count_anew(account: Account) -> None:
    for _ in range(MAX_REFUSALS):
        account.refused()
        account.refused()
        account.accepted()
    account.check()
    # As many as like may be under way now.
    for _ in range(100):
        await account.turn()


async def test_as_many_are_under_way_as_may_be_refused(account: Account) -> None:
    for _ in range(MAX_REFUSALS):
        await account.turn()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(account.turn())
        done, _ = await asyncio.wait([waiting], timeout=0.001)
        assert done == set()
        account.let_go()


async def test_who_waits_for_a_turn_hears_that_it_was_refused(account: Account) -> None:
    for _ in range(MAX_REFUSALS):
        await account.turn()
    async with asyncio.TaskGroup() as tasks:

        async def waits() -> None:
            with pytest.raises(DialError, match="not tried again"):
                await account.turn()

        tasks.create_task(waits())
        await asyncio.sleep(0)
        for _ in range(MAX_REFUSALS):
            account.refused()


def test_a_login_without_a_verdict_holds_its_turn_for_a_while() -> None:
    async def scene() -> float:
        now = asyncio.get_running_loop().time
        account = Account(LOGIN, "proxy.example", now)
        for _ in range(MAX_REFUSALS + 1):
            await account.turn()
        return now()

    assert run(scene()) == pytest.approx(VERDICT_SECONDS)


# --- through proxies


HEAD = RequestHead(b"GET", b"http://site.example/", HTTP_11, Fields([(b"Host", b"site.example")]))


def response(challenges: list[bytes]) -> ResponseHead:
    fields = Fields([(b"Proxy-Authenticate", challenge) for challenge in challenges])
    return ResponseHead(407, b"Who?", HTTP_11, fields)


def refused_by(guard: Guard, login: LoginTries) -> ResponseHead:
    challenges = guard.ask(serialise_request(login.addressed(HEAD)))
    assert challenges is not None
    return response(challenges)


@pytest.mark.parametrize("use", [connect, forward])
@pytest.mark.parametrize("make", [BasicGuard, DigestGuard])
async def test_the_right_login_is_let_in(use: Use, make: type[BasicGuard | DigestGuard]) -> None:
    parent = GuardedParent(lambda: make(CORP))
    async with server(parent) as port:
        through = upstream(port)
        await use(through)
        await use(through)
    assert len(parent.let_in) == 2


@pytest.mark.parametrize("use", [connect, forward])
@pytest.mark.parametrize("make", [BasicGuard, DigestGuard])
@pytest.mark.parametrize("closes", [True, False])
async def test_a_wrong_login_is_tried_three_times_and_never_again(
    use: Use, make: type[BasicGuard | DigestGuard], closes: bool
) -> None:
    parent = GuardedParent(lambda: make(CORP), closes)
    async with server(parent) as port:
        through = upstream(port, WRONG)
        for _ in range(5):
            with pytest.raises((DialError, CarrierError)):
                await use(through)
    assert parent.logins == MAX_REFUSALS


async def test_many_streams_at_once_do_not_refuse_more_often() -> None:
    parent = GuardedParent(lambda: BasicGuard(CORP))
    async with server(parent) as port:
        through = upstream(port, WRONG)

        async def one() -> None:
            with pytest.raises(DialError):
                await connect(through)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(one())
    assert parent.logins == MAX_REFUSALS


async def test_many_streams_at_once_are_all_let_in() -> None:
    parent = GuardedParent(lambda: DigestGuard(CORP))
    async with server(parent) as port:
        through = upstream(port)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(connect(through))
    assert len(parent.let_in) == 20


async def test_uses_of_a_nonce_that_come_out_of_order_are_mended() -> None:
    guard = DigestGuard(CORP, requests=40)
    parent = GuardedParent(lambda: guard)
    async with server(parent) as port:
        through = upstream(port)

        async def one() -> None:
            client = client_of(through)
            for _ in range(10):
                assert await get(client) == b"hi"
            client.close()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(one())
    assert len(parent.let_in) == 80


async def test_one_use_that_was_overtaken_costs_one_request_more(account: Account) -> None:
    guard = DigestGuard(LOGIN)
    slow, fast = LoginTries(account), LoginTries(account)
    assert await fast.must_repeat(refused_by(guard, fast))
    overtaken = slow.addressed(HEAD)
    assert guard.ask(serialise_request(fast.addressed(HEAD))) is None
    challenges = guard.ask(serialise_request(overtaken))
    assert challenges is not None
    assert await slow.must_repeat(response(challenges))
    assert guard.ask(serialise_request(slow.addressed(HEAD))) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: BasicGuard(CORP, requests=3),
        lambda: DigestGuard(CORP, requests=3),
        lambda: TokenGuard("NTLM", requests=3),
    ],
    ids=["basic", "digest", "ntlm"],
)
async def test_what_expires_in_the_middle_is_made_again(make: type[Guard], accounts: None) -> None:
    parent = GuardedParent(make)
    async with server(parent) as port:
        client = client_of(upstream(port))
        for _ in range(20):
            assert await get(client) == b"hi"
        client.close()
    assert len(parent.let_in) == 20
    assert parent.streams == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: BasicGuard(CORP),
        lambda: DigestGuard(CORP, requests=2),
        lambda: TokenGuard("NTLM"),
        lambda: TokenGuard("Negotiate"),
    ],
    ids=["basic", "digest", "ntlm", "negotiate"],
)
@pytest.mark.slow
async def test_a_refused_request_whose_body_is_not_read_goes_out_on_another_stream(
    make: type[Guard], accounts: None
) -> None:
    guard = make()
    # One guard for all streams where the login is none of the stream's.
    parent = GuardedParent(
        make if isinstance(guard, TokenGuard) else lambda: guard, leaves_bodies=True
    )
    body = b"x" * 4_000_000
    async with server(parent) as port:
        client = client_of(upstream(port))
        for _ in range(5):
            assert (await client.exchange(HttpRequest("POST", "TOKEN", body))).body == b"hi"
        client.close()
    let_in = [head for head in parent.let_in if b"\r\nContent-Length: 4000000\r\n" in head]
    assert len(let_in) == 5


class TwoGuards(Guard):
    """Offers two schemes, of which one never lets anybody in."""

    def __init__(self, refusing: bytes) -> None:
        self._refusing = refusing
        self._basic = BasicGuard(CORP)

    def ask(self, head: bytes) -> list[bytes] | None:
        basic = self._basic.ask(head)
        return [self._refusing, *basic] if basic else None


async def test_a_negotiate_that_leads_nowhere_is_followed_by_the_next_scheme() -> None:
    parent = GuardedParent(lambda: TwoGuards(b"Negotiate"))
    async with server(parent) as port:
        through = upstream(port)
        await connect(through)
        await connect(through)
    assert len(parent.let_in) == 2
    # It is not tried a second time.
    assert sum(b": Negotiate " in head for head in parent.heads) == 1
