"""The login of one request: how often it is tried, and when it is given up."""

from __future__ import annotations

import pytest

from underpass.errors import DialError, Failure, RemoteProtocolError
from underpass.outbound.login import MAX_TRIES, LoginTries, refused
from underpass.protocol.http.digest import Answerer, Login
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
def answerer() -> Answerer:
    return Answerer(Login("carol", "sesame"))


def login_of(head: RequestHead) -> bytes | None:
    return head.fields.get(b"proxy-authorization")


def test_before_a_challenge_nothing_is_said(answerer: Answerer) -> None:
    assert LoginTries(answerer).addressed(GET) is GET
    assert LoginTries(None).addressed(GET) is GET


def test_what_was_challenged_is_answered(answerer: Answerer) -> None:
    login = LoginTries(answerer)
    login.addressed(GET)
    assert login.must_repeat(response(407, BASIC))
    assert login_of(login.addressed(GET)) == b"Basic Y2Fyb2w6c2VzYW1l"


def test_the_next_request_answers_unasked(answerer: Answerer) -> None:
    LoginTries(answerer).must_repeat(response(407, digest(b"n")))
    sent = LoginTries(answerer).addressed(GET)
    assert b'nonce="n"' in (login_of(sent) or b"")
    assert (sent.method, sent.target, sent.version) == (GET.method, GET.target, GET.version)


@pytest.mark.parametrize("status", [200, 401, 403, 503])
def test_any_other_answer_is_the_clients(answerer: Answerer, status: int) -> None:
    assert not LoginTries(answerer).must_repeat(response(status, BASIC))
    assert not LoginTries(None).must_repeat(response(status))


def tries(answerer: Answerer, *challenges: bytes) -> int:
    """How often the login was sent before it was given up, always refused by `challenges`."""
    login, count = LoginTries(answerer), 0
    waiting = list(challenges)
    while True:
        count += login_of(login.addressed(GET)) is not None
        challenge = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        try:
            assert login.must_repeat(response(407, challenge))
        except DialError:
            return count


def test_a_refused_basic_is_not_repeated(answerer: Answerer) -> None:
    assert tries(answerer, BASIC) == 1
    # The next request, which answers unasked, does not try it twice either.
    assert tries(answerer, BASIC) == 1


def test_a_refused_digest_is_tried_twice_at_most(answerer: Answerer) -> None:
    assert tries(answerer, digest(b"1"), digest(b"2"), digest(b"3")) == MAX_TRIES == 2
    assert tries(answerer, digest(b"4", b", stale=true")) == MAX_TRIES


def test_a_stream_that_died_before_an_answer_was_no_refusal(answerer: Answerer) -> None:
    LoginTries(answerer).must_repeat(response(407, digest(b"old")))
    login = LoginTries(answerer)
    login.addressed(GET)
    login.addressed(GET)
    assert login.must_repeat(response(407, digest(b"new", b", stale=true")))


@pytest.mark.parametrize("challenges", [(), (b"NTLM",), (b"Bearer",)])
def test_what_cannot_be_answered_is_given_up(
    answerer: Answerer, challenges: tuple[bytes, ...]
) -> None:
    with pytest.raises(DialError, match="the upstream proxy said 407 So be it"):
        LoginTries(answerer).must_repeat(response(407, *challenges))


def test_without_a_login_a_407_is_given_up() -> None:
    assert not LoginTries(None).may_repeat
    with pytest.raises(DialError) as caught:
        LoginTries(None).must_repeat(response(407, BASIC))
    assert caught.value.failure is Failure.UPSTREAM_REFUSED
    assert caught.value.parameters == {"received-status": 407}


def test_a_broken_challenge_is_the_proxys_fault(answerer: Answerer) -> None:
    assert LoginTries(answerer).may_repeat
    with pytest.raises(RemoteProtocolError) as caught:
        LoginTries(answerer).must_repeat(response(407, b'Digest realm="'))
    assert caught.value.failure is Failure.UPSTREAM_PROTOCOL


def test_what_the_proxy_says_of_itself_is_told() -> None:
    fields = Fields([(b"Proxy-Status", b"parent; error=dns_error")])
    error = refused(ResponseHead(502, b"Bad", HTTP_11, fields))
    assert error.details == "the upstream proxy said 502 parent; error=dns_error"
    assert refused(ResponseHead(502, b"", HTTP_11, Fields())).details == (
        "the upstream proxy said 502"
    )
