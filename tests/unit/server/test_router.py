"""Every row of docs/carriers.md section 1, and everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.server.router import Act, Place, route

TOKEN = "abcdefghijklmnopqrst_-"
UPGRADE = Fields(
    [
        (b"Host", b"server.example"),
        (b"Connection", b"keep-alive, Upgrade"),
        (b"Upgrade", b"WebSocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
)


def head(method: str, target: str, fields: Fields | None = None) -> RequestHead:
    fields = fields or Fields([(b"Host", b"server.example")])
    return RequestHead(method.encode(), target.encode(), HTTP_11, fields)


@pytest.mark.parametrize(
    ("method", "rest", "place"),
    [
        ("PUT", "", Place(Act.OPEN, TOKEN)),
        ("POST", "/open", Place(Act.OPEN, TOKEN)),
        ("GET", "/0/AQID", Place(Act.OPEN, TOKEN, 0, b"\1\2\3")),
        ("POST", "/0", Place(Act.UP, TOKEN, 0)),
        ("POST", "/120", Place(Act.UP, TOKEN, 120)),
        ("GET", "/7", Place(Act.DOWN, TOKEN, 7)),
        ("POST", "/down/7", Place(Act.DOWN, TOKEN, 7)),
        ("GET", "/down", Place(Act.STREAM, TOKEN)),
        ("GET", "/7/AQID", Place(Act.EXCHANGE, TOKEN, 7, b"\1\2\3")),
        ("GET", "/7/-", Place(Act.EXCHANGE, TOKEN, 7, b"")),
        ("DELETE", "", Place(Act.END, TOKEN)),
        ("POST", "/end", Place(Act.END, TOKEN)),
        ("GET", "/end", Place(Act.END, TOKEN)),
    ],
)
def test_each_row_has_its_place(method: str, rest: str, place: Place) -> None:
    assert route(head(method, f"/below/{TOKEN}{rest}"), "/below") == place
    assert route(head(method, f"/{TOKEN}{rest}"), "") == place
    assert route(head(method, f"http://server.example/{TOKEN}{rest}"), "") == place


def test_a_websocket_carries_its_opening_message_in_the_target() -> None:
    asked = head("GET", f"/{TOKEN}/AQID", UPGRADE)
    assert route(asked, "") == Place(Act.WEBSOCKET, TOKEN, 0, b"\1\2\3")


@pytest.mark.parametrize("name", [b"connection", b"sec-websocket-version", b"sec-websocket-key"])
def test_a_websocket_asked_for_in_another_way_is_any_visitors(name: bytes) -> None:
    assert route(head("GET", f"/{TOKEN}/AQID", UPGRADE.without((name,))), "") is None


@pytest.mark.parametrize("key", [b"AAAA", b"!", b"dGhlIHNhbXBsZSBub25jZQ"])
def test_a_websocket_key_is_16_bytes(key: bytes) -> None:
    fields = UPGRADE.without((b"sec-websocket-key",)).adding(b"Sec-WebSocket-Key", key)
    assert route(head("GET", f"/{TOKEN}/AQID", fields), "") is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", f"/{TOKEN}"),
        ("HEAD", f"/{TOKEN}/0"),
        ("PUT", f"/{TOKEN}x"),
        ("PUT", f"/{TOKEN[:-1]}"),
        ("PUT", f"/{TOKEN}/"),
        ("PUT", f"/{TOKEN}?a"),
        ("POST", f"/{TOKEN}/01"),
        ("POST", f"/{TOKEN}/-1"),
        ("POST", f"/{TOKEN}/12345678901"),
        ("GET", f"/{TOKEN}/1/A"),
        ("GET", f"/{TOKEN}/1/AQ=="),
        ("GET", f"/{TOKEN}/x/AQID"),
        ("GET", f"//{TOKEN}/1"),
        ("CONNECT", "server.example:443"),
        ("OPTIONS", "*"),
        ("GET", "nonsense"),
        ("GET", f"ftp://server.example/{TOKEN}/1"),
    ],
)
def test_everything_else_is_any_visitors(method: str, target: str) -> None:
    assert route(head(method, target), "") is None


def test_what_is_not_below_the_prefix_is_any_visitors() -> None:
    assert route(head("PUT", f"/{TOKEN}"), "/below") is None
    assert route(head("PUT", f"/belowx/{TOKEN}"), "/below") is None


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS"]),
    st.text("/-_=?:*.abcAQ0123456789", max_size=40),
    st.sampled_from(["", "/", f"/{TOKEN}", f"/{TOKEN}/", f"/{TOKEN}/1/", "http://a"]),
)
def test_no_target_breaks_it(method: str, rest: str, start: str) -> None:
    found = route(head(method, start + rest), "")
    assert found is None or len(found.token) == 22
