"""The login of one request: how often it is tried, and when it is given up."""

from __future__ import annotations

import pytest

from underpass.errors import DialError, Failure, RemoteProtocolError
from underpass.outbound.account import MAX_REFUSALS, Account
from underpass.outbound.login import MAX_REQUESTS, MAX_TRIES, LoginTries, refused
from underpass.protocol.http.digest import Login
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead

GET = RequestHead(b"GET", b"http://site.example/", HTTP_11, Fields([(b"Host", b"site.example")]))
BASIC = b'Basic realm="p"'


def digest(nonce: bytes, more: bytes = b"") -> bytes:
    return b'Digest realm="p", qop="auth", nonce="%s"%s' % (nonce, more)


def response(status: int, *challenges: bytes) -> ResponseHead:
    fields = Fields([(b"Proxy-Authenticate", challenge) for challenge in challenges])
    return ResponseHead(status, b"So be it", HTTP_11, fields)


@pytest.fixture
def account() -> Account:
    return Account(Login("carol", "sesame"), "proxy.example")


def login_of(head: RequestHead) -> bytes | None:
    return head.fields.get(b"proxy-authorization")


def test_before_a_challenge_nothing_is_said(account: Account) -> None:
    assert LoginTries(account).addressed(GET) is GET
    assert LoginTries(None).addressed(GET) is GET


async def test_what_was_challenged_is_answered(account: Account) -> None:
    login = LoginTries(account)
    login.addressed(GET)
    assert await login.must_repeat(response(407, BASIC))
    assert login_of(login.addressed(GET)) == b"Basic Y2Fyb2w6c2VzYW1l"


async def test_the_next_request_answers_unasked(account: Account) -> None:
    await LoginTries(account).must_repeat(response(407, digest(b"n")))
    sent = LoginTries(account).addressed(GET)
    assert b'nonce="n"' in (login_of(sent) or b"")
    assert (sent.method, sent.target, sent.version) == (GET.method, GET.target, GET.version)


@pytest.mark.parametrize("status", [200, 401, 403, 503])
async def test_any_other_answer_is_the_clients(account: Account, status: int) -> None:
    assert not await LoginTries(account).must_repeat(response(status, BASIC))
    assert not await LoginTries(None).must_repeat(response(status))


async def tries(account: Account, *challenges: bytes) -> int:
    """How often the login was sent before it was given up, always refused by `challenges`."""
    login, count = LoginTries(account), 0
    waiting = list(challenges)
    while True:
        count += login_of(login.addressed(GET)) is not None
        challenge = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        try:
            assert await login.must_repeat(response(407, challenge))
        except DialError:
            return count


async def test_what_to_do_is_told() -> None:
    with pytest.raises(DialError, match=r"407 So be it \(it wants a login: name the user"):
        await LoginTries(None).must_repeat(response(407, BASIC))
    with pytest.raises(DialError, match=r"a password; or install underpass\[kerberos\]"):
        await LoginTries(None).must_repeat(response(407, b"Negotiate", BASIC))
    login = LoginTries(Account(Login("carol", "wrong"), "proxy.example"))
    assert await login.must_repeat(response(407, BASIC))
    login.addressed(GET)
    with pytest.raises(DialError, match=r"\(the user or the password is wrong\)"):
        await login.must_repeat(response(407, BASIC))


async def test_tickets_are_no_login_where_only_a_password_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("underpass.outbound.account.has_tickets", lambda: True)
    login = LoginTries(Account(None, "proxy.example"))
    with pytest.raises(DialError, match=r"\(it wants a login: name the user"):
        await login.must_repeat(response(407, BASIC))


async def test_a_refused_basic_is_not_repeated(account: Account) -> None:
    assert await tries(account, BASIC) == 1
    # The next request, which answers unasked, does not try it twice either.
    assert await tries(account, BASIC) == 1


async def test_a_refused_digest_is_tried_twice_at_most(account: Account) -> None:
    assert await tries(account, digest(b"1"), digest(b"2"), digest(b"3")) == MAX_TRIES == 2
    assert await tries(account, digest(b"4", b", stale=true")) == MAX_TRIES


async def test_a_stream_that_died_before_an_answer_was_no_refusal(account: Account) -> None:
    await LoginTries(account).must_repeat(response(407, digest(b"old")))
    login = LoginTries(account)
    login.addressed(GET)
    login.addressed(GET)
    assert await login.must_repeat(response(407, digest(b"new", b", stale=true")))


@pytest.mark.parametrize("challenges", [(), (b"Hoba",), (b"Bearer",)])
async def test_what_cannot_be_answered_is_given_up(
    account: Account, challenges: tuple[bytes, ...]
) -> None:
    with pytest.raises(DialError, match="the upstream proxy said 407 So be it"):
        await LoginTries(account).must_repeat(response(407, *challenges))


async def test_nothing_is_said_while_the_proxy_lets_it_pass(account: Account) -> None:
    assert LoginTries(None).says_nothing
    assert not LoginTries(account).says_nothing
    await LoginTries(account).must_repeat(response(200))
    assert LoginTries(account).says_nothing
    await LoginTries(account).must_repeat(response(407, BASIC))
    assert not LoginTries(account).says_nothing


async def test_without_a_login_a_407_is_given_up() -> None:
    assert not LoginTries(None).may_repeat
    with pytest.raises(DialError) as caught:
        await LoginTries(None).must_repeat(response(407, BASIC))
    assert caught.value.failure is Failure.UPSTREAM_REFUSED
    assert caught.value.parameters == {"received-status": 407}


async def test_a_broken_challenge_is_the_proxys_fault(account: Account) -> None:
    assert LoginTries(account).may_repeat
    with pytest.raises(RemoteProtocolError) as caught:
        await LoginTries(account).must_repeat(response(407, b'Digest realm="'))
    assert caught.value.failure is Failure.UPSTREAM_PROTOCOL


def test_what_the_proxy_says_of_itself_is_told() -> None:
    fields = Fields([(b"Proxy-Status", b"parent; error=dns_error")])
    error = refused(ResponseHead(502, b"Bad", HTTP_11, fields))
    assert error.details == "the upstream proxy said 502 parent; error=dns_error"
    assert refused(ResponseHead(502, b"", HTTP_11, Fields())).details == (
        "the upstream proxy said 502"
    )


async def test_a_token_that_is_none_ends_it_and_shows_nothing(account: Account) -> None:
    for _ in range(MAX_REFUSALS + 1):
        login = LoginTries(account)
        assert await login.must_repeat(response(407, b"NTLM"))
        assert (login_of(login.addressed(GET)) or b"").startswith(b"NTLM ")
        with pytest.raises(DialError, match="no login by ntlm"):
            await login.must_repeat(response(407, b"NTLM AAAA"))


async def test_a_new_stream_begins_a_bound_login_anew(account: Account) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, b"NTLM"))
    first = login_of(login.addressed(GET))
    await login.begin()
    assert login_of(login.addressed(GET)) == first
    # Once all is said, what follows on the stream says nothing more.
    assert not await login.must_repeat(response(200))
    assert login.addressed(GET) is GET


async def test_requests_for_one_answer_are_bounded(account: Account) -> None:
    login = LoginTries(account)
    for _ in range(MAX_REQUESTS - 1):
        assert await login.must_repeat(response(407, b"NTLM"))
        await login.begin()
    with pytest.raises(DialError, match="407"):
        await login.must_repeat(response(407, b"NTLM"))


async def test_a_login_that_was_good_is_tried_once_more(account: Account) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, BASIC))
    login.addressed(GET)
    assert not await login.must_repeat(response(200))
    login.addressed(GET)
    assert await login.must_repeat(response(407, BASIC))
    login.addressed(GET)
    with pytest.raises(DialError):
        await login.must_repeat(response(407, BASIC))


async def test_what_stopped_a_better_scheme_is_told(account: Account) -> None:
    account.exclude("ntlm", "no such thing")
    with pytest.raises(DialError, match=r"407 So be it \(no such thing\)"):
        await LoginTries(account).must_repeat(response(407, b"NTLM"))


# --- before a long body


def is_doubtful(login: LoginTries) -> bool:
    """The same, which a checker of types does not take for a constant."""
    return login.is_doubtful


def test_without_a_login_nothing_is_in_doubt() -> None:
    assert not is_doubtful(LoginTries(None))


async def test_what_a_proxy_wants_is_in_doubt_until_a_request_has_passed(account: Account) -> None:
    login = LoginTries(account)
    assert is_doubtful(login)
    login.addressed(GET)
    await login.must_repeat(response(200))
    assert not is_doubtful(login)
    assert not is_doubtful(LoginTries(account))
    # It may think of it later.
    await LoginTries(account).must_repeat(response(407, BASIC))
    assert is_doubtful(LoginTries(account))


async def test_basic_that_was_good_is_not_in_doubt_until_it_is_refused(account: Account) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, BASIC))
    assert is_doubtful(login)
    login.addressed(GET)
    await login.must_repeat(response(200))
    assert not is_doubtful(LoginTries(account))
    later = LoginTries(account)
    later.addressed(GET)
    await later.must_repeat(response(407, BASIC))
    assert is_doubtful(LoginTries(account))


async def test_a_long_body_asks_for_a_nonce_and_leaves_the_others_theirs(account: Account) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, digest(b"all")))
    login.addressed(GET)
    await login.must_repeat(response(200))
    for_long = LoginTries(account)
    assert is_doubtful(for_long)
    await for_long.begin(for_long=True)
    assert login_of(for_long.addressed(GET)) is None
    assert await for_long.must_repeat(response(407, digest(b"own")))
    assert not is_doubtful(for_long)
    said = login_of(for_long.addressed(GET)) or b""
    assert b'nonce="own"' in said
    assert b"nc=00000001" in said
    said = login_of(LoginTries(account).addressed(GET)) or b""
    assert b'nonce="all"' in said
    assert b"nc=00000002" in said


async def test_a_nonce_that_was_asked_for_and_not_given_is_done_without(account: Account) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, digest(b"all")))
    login.addressed(GET)
    await login.must_repeat(response(200))
    for answer, said in ((response(200), None), (response(407, BASIC), b"Basic ")):
        for_long = LoginTries(account)
        await for_long.begin(for_long=True)
        for_long.addressed(GET)
        await for_long.must_repeat(answer)
        sent = login_of(for_long.addressed(GET))
        assert sent is None if said is None else (sent or b"").startswith(said)


async def test_a_bound_login_is_beyond_doubt_with_its_last_leg_or_where_it_stands(
    account: Account,
) -> None:
    login = LoginTries(account)
    await login.must_repeat(response(407, b"NTLM"))
    assert login.must_rehearse
    assert is_doubtful(login)
    login.addressed(GET)
    assert is_doubtful(login)
    await login.must_repeat(response(200))
    assert not is_doubtful(login)
    # Another stream, which was kept: nobody knows for how long its login holds.
    assert is_doubtful(LoginTries(account))
