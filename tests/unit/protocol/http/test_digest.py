"""Answers to an upstream proxy's challenges, held to the RFCs' own examples."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import RemoteProtocolError
from underpass.protocol.http.digest import (
    Answerer,
    Challenge,
    Login,
    Request,
    parse_challenges,
)

# RFC 7616 section 3.9.1.
MUFASA = Login("Mufasa", "Circle of Life")
REQUEST = Request("GET", "/dir/index.html")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def digest(algorithm: str, **more: str) -> Challenge:
    parameters = {"realm": "http-auth@example.org", "nonce": NONCE, "opaque": OPAQUE}
    return Challenge(
        "digest", {**parameters, "qop": "auth, auth-int", "algorithm": algorithm, **more}
    )


def answered(challenge: Challenge, login: Login = MUFASA) -> dict[str, str]:
    """The parameters of the answer."""
    answerer = Answerer(login)
    assert answerer.take([challenge]) is challenge
    value = answerer.answer(REQUEST, CNONCE)
    assert value is not None
    # An answer has the grammar of a challenge (RFC 9110 11.2).
    [answer] = parse_challenges([value])
    assert answer.scheme == "digest"
    return answer.parameters


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    assert answered(digest(algorithm)) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": NONCE,
        "nc": "00000001",
        "cnonce": CNONCE,
        "qop": "auth",
        "response": response,
        "opaque": OPAQUE,
    }


def test_the_example_of_rfc_2617() -> None:
    parameters = {
        "realm": "testrealm@host.com",
        "qop": "auth,auth-int",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    }
    answerer = Answerer(Login("Mufasa", "Circle Of Life"))
    answerer.take([Challenge("digest", parameters)])
    value = answerer.answer(REQUEST, "0a4f113b")
    assert value is not None
    assert b'response="6629fae49393a05397450978507c4ef1"' in value
    assert b"algorithm" not in value
    assert b"opaque" not in value


def test_the_example_of_rfc_2069_without_qop() -> None:
    parameters = {"realm": "testrealm@host.com", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
    answer = answered(Challenge("digest", parameters), Login("Mufasa", "CircleOfLife"))
    # As the RFC's erratum 749 corrects it.
    assert answer["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "cnonce" not in answer
    assert "nc" not in answer


def test_a_session_binds_the_secret_to_its_nonces() -> None:
    answer = answered(digest("MD5-sess"))
    assert answer["algorithm"] == "MD5-sess"
    assert answer["response"] == "e783283f46242139c486a698fec7211d"


def test_each_use_of_a_nonce_is_counted() -> None:
    answerer = Answerer(MUFASA)
    before = answerer.is_challenged
    assert answerer.answer(REQUEST, CNONCE) is None
    answerer.take([digest("MD5")])
    assert (before, answerer.is_challenged) == (False, True)
    for count in (b"nc=00000001", b"nc=00000002"):
        assert count in (answerer.answer(REQUEST, CNONCE) or b"")
    # The same nonce goes on, another begins again.
    answerer.take([digest("MD5")])
    assert b"nc=00000003" in (answerer.answer(REQUEST, CNONCE) or b"")
    answerer.take([digest("MD5", nonce="other")])
    assert b"nc=00000001" in (answerer.answer(REQUEST, CNONCE) or b"")


def test_the_example_of_rfc_7617() -> None:
    answerer = Answerer(Login("Aladdin", "open sesame"))
    answerer.take([Challenge("basic", {"realm": "WallyWorld"})])
    assert answerer.answer(REQUEST, CNONCE) == b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    answerer = Answerer(Login("test", "123£"))
    answerer.take([Challenge("basic", {})])
    assert answerer.answer(REQUEST, CNONCE) == b"Basic dGVzdDoxMjPCow=="


BASIC = Challenge("basic", {"realm": "x"})


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        ([BASIC, digest("MD5"), digest("SHA-256")], 2),
        ([BASIC, digest("MD5")], 1),
        ([BASIC, digest("SHA-512-256")], 0),
        ([BASIC, digest("MD5", qop="auth-int")], 0),
        ([Challenge("digest", {"realm": "x"}), BASIC], 1),
        ([Challenge("digest", {"nonce": "x"})], None),
        ([Challenge("negotiate", {}), Challenge("ntlm", {})], None),
        ([Challenge("negotiate", {}), digest("md5-SESS", qop="AUTH")], 1),
    ],
)
def test_the_best_that_can_be_answered_is_chosen(
    offered: list[Challenge], chosen: int | None
) -> None:
    assert Answerer(MUFASA).take(offered) is (None if chosen is None else offered[chosen])


@pytest.mark.parametrize(
    ("values", "challenges"),
    [
        ([], []),
        ([b"Negotiate"], [Challenge("negotiate", {})]),
        ([b'Basic realm="a b"'], [Challenge("basic", {"realm": "a b"})]),
        ([b"Basic realm=a", b"NTLM"], [Challenge("basic", {"realm": "a"}), Challenge("ntlm", {})]),
        (
            [b'Digest realm="a, b", nonce="x\\"y\\\\z" , QOP=auth, Basic realm="c"'],
            [
                Challenge("digest", {"realm": "a, b", "nonce": 'x"y\\z', "qop": "auth"}),
                Challenge("basic", {"realm": "c"}),
            ],
        ),
        # RFC 9110 11.6.1: an empty element, and schemes alone.
        (
            [b'Negotiate, NTLM , ,Newauth realm="apps", type=1'],
            [
                Challenge("negotiate", {}),
                Challenge("ntlm", {}),
                Challenge("newauth", {"realm": "apps", "type": "1"}),
            ],
        ),
        # A token instead of parameters.
        (
            [b"Negotiate YII+/a==, NTLM TlRMTVNTUAAC, Basic realm=x"],
            [
                Challenge("negotiate", {}, "YII+/a=="),
                Challenge("ntlm", {}, "TlRMTVNTUAAC"),
                Challenge("basic", {"realm": "x"}),
            ],
        ),
    ],
)
def test_challenges_are_parsed(values: list[bytes], challenges: list[Challenge]) -> None:
    assert parse_challenges(values) == challenges


@pytest.mark.parametrize(
    "value",
    [b"=", b'"Basic"', b'Basic realm="x', b"Basic realm=,=", b"Basic realm=x y z=", b"B@sic"],
)
def test_what_is_no_list_of_challenges_is_refused(value: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed challenge"):
        parse_challenges([value])


@pytest.mark.parametrize(
    ("parameters", "stale"),
    [({}, False), ({"stale": "false"}, False), ({"stale": "TRUE"}, True)],
)
def test_stale(parameters: dict[str, str], stale: bool) -> None:
    assert Challenge("digest", parameters).is_stale is stale


def test_what_the_proxy_said_is_said_back_byte_for_byte() -> None:
    [challenge] = parse_challenges(['Digest realm="Zügе", nonce="\\"", opaque="é\\\\"'.encode()])
    answerer = Answerer(Login('J "ä" \\', "secret"))
    answerer.take([challenge])
    value = answerer.answer(REQUEST, CNONCE) or b""
    assert 'realm="Zügе"'.encode() in value
    assert 'opaque="é\\\\"'.encode() in value
    assert b'nonce="\\""' in value
    assert 'username="J \\"ä\\" \\\\"'.encode() in value
    [challenge] = parse_challenges([b'Digest realm="\xe9", nonce=x'])
    answerer.take([challenge])
    assert b'realm="\xe9"' in (answerer.answer(REQUEST, CNONCE) or b"")


def test_the_password_is_not_printed_nor_sent() -> None:
    assert "Circle" not in repr(MUFASA)
    answerer = Answerer(MUFASA)
    answerer.take([digest("SHA-256")])
    assert b"Circle" not in (answerer.answer(REQUEST, CNONCE) or b"")


@given(st.binary(max_size=60), st.sampled_from([b"", b"Digest ", b"Digest realm=a,nonce=b,"]))
def test_bytes_raise_one_exception_and_nothing_else(value: bytes, start: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        answerer = Answerer(MUFASA)
        answerer.take(parse_challenges([start + value]))
        answerer.answer(REQUEST, CNONCE)


@given(st.text(max_size=10), st.text(max_size=10))
def test_any_login_can_be_answered_with(user: str, password: str) -> None:
    answerer = Answerer(Login(user, password))
    answerer.take([BASIC])
    value = answerer.answer(REQUEST, CNONCE) or b""
    assert base64.b64decode(value.removeprefix(b"Basic ")) == f"{user}:{password}".encode()
