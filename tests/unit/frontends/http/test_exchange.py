"""One request's state and the access line that is made of it."""

from __future__ import annotations

from underpass.access import Principal
from underpass.errors import Failure
from underpass.frontends.http.exchange import Exchange, Refused, refuse
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.protocol.http.refusal import Refusal


async def test_the_record_says_what_became_of_it() -> None:
    exchange = Exchange(RequestHead(b"GET", b"http://h/", HTTP_11, Fields()), "127.0.0.1")
    exchange.principal = Principal("alice")
    exchange.address = "h:80"
    exchange.status = 403
    exchange.sent, exchange.received = 5, 7
    exchange.reason = "forbidden"
    exchange.request_id = "1a2b3c4d"
    record = exchange.record()
    assert (record.user, record.client, record.method) == ("alice", "127.0.0.1", "GET")
    assert (record.address, record.status, record.reason) == ("h:80", 403, "forbidden")
    assert (record.sent, record.received, record.request_id) == (5, 7, "1a2b3c4d")
    assert 0 <= record.seconds < 5


async def test_what_is_not_known_is_a_dash() -> None:
    record = Exchange(None, "127.0.0.1").record()
    assert (record.user, record.method, record.address) == ("-", "-", "-")
    assert (record.status, record.reason, record.request_id) == (0, "ok", "")


def test_refuse_makes_the_exception_that_carries_the_refusal() -> None:
    fields = Fields([(b"Allow", b"GET")])
    refused = refuse(Failure.METHOD_NOT_ALLOWED, "not here", fields)
    assert isinstance(refused, Refused)
    assert refused.refusal == Refusal(Failure.METHOD_NOT_ALLOWED, "not here", fields)
    assert str(refused) == "not here"
    assert refuse(Failure.LOOP).refusal == Refusal(Failure.LOOP)
