"""Basic and Digest, as a box asks for them."""

from __future__ import annotations

import base64
import random

import pytest

from underpass.protocol.http.digest import Answerer, Request, parse_challenges
from underpass.protocol.http.digest import Login as Account
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.testing.middlebox import Behaviour, Login
from underpass.testing.middlebox.login import LoginDesk, challenge_fields

TARGET = b"http://a.example/"
BASIC = Behaviour(login=Login.BASIC, user="carol", password="open sesame", expire_after=2)
DIGEST = Behaviour(login=Login.DIGEST, user="carol", password="open sesame", expire_after=2)


def request(login: bytes | None = None) -> RequestHead:
    pairs = [] if login is None else [(b"Proxy-Authorization", login)]
    return RequestHead(b"GET", TARGET, HTTP_11, Fields(pairs))


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.fixture
def desk() -> LoginDesk:
    return LoginDesk(random.Random(1))


def test_without_a_login_everybody_may_pass(desk: LoginDesk) -> None:
    assert desk.challenges(request(), Behaviour()) is None


@pytest.mark.parametrize("given", [None, basic("carol:wrong"), b"Digest a=b"])
def test_who_has_no_login_is_asked_for_one(desk: LoginDesk, given: bytes | None) -> None:
    assert desk.challenges(request(given), BASIC) == [b'Basic realm="box"']


def test_a_login_by_basic_expires(desk: LoginDesk) -> None:
    right = request(basic("carol:open sesame"))
    answers = [desk.challenges(right, BASIC) is None for _ in range(6)]
    assert answers == [True, True, False, True, True, False]


def test_a_login_by_digest_expires_as_stale(desk: LoginDesk) -> None:
    answerer = Answerer(Account("carol", "open sesame"))
    challenged = desk.challenges(request(), DIGEST)
    assert challenged is not None
    assert answerer.take(parse_challenges(challenged)) is not None
    for _ in range(2):
        answer = answerer.answer(Request("GET", TARGET.decode()), "cnonce")
        assert desk.challenges(request(answer), DIGEST) is None
    again = desk.challenges(request(answerer.answer(Request("GET", TARGET.decode()), "c")), DIGEST)
    assert again is not None
    assert parse_challenges(again)[0].is_stale


def test_a_wrong_digest_is_not_stale(desk: LoginDesk) -> None:
    answerer = Answerer(Account("carol", "wrong"))
    answerer.take(parse_challenges(desk.challenges(request(), DIGEST) or []))
    again = desk.challenges(request(answerer.answer(Request("GET", TARGET.decode()), "c")), DIGEST)
    assert again is not None
    assert not parse_challenges(again)[0].is_stale


def test_challenges_are_fields_of_their_own() -> None:
    fields = challenge_fields([b"NTLM", b'Basic realm="a"'])
    assert fields.get_all(b"proxy-authenticate") == [b"NTLM", b'Basic realm="a"']
