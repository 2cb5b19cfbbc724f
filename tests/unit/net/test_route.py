"""A route over a stream to the origin: the dial, and nothing else."""

from __future__ import annotations

from underpass.address import Address
from underpass.net.route import StreamRoute
from underpass.net.stream import Stream
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead
from underpass.protocol.http.target import parse_absolute
from underpass.testing import stream_pair


async def test_a_stream_route_dials_and_changes_nothing() -> None:
    asked: list[Address] = []
    stream, _ = stream_pair()

    async def dial(address: Address) -> Stream:
        asked.append(address)
        return stream

    target = parse_absolute(b"http://site.example/a", b"GET")
    route = StreamRoute(dial, target.address)
    assert await route.open() is stream
    assert asked == [Address("site.example", 80)]
    head = RequestHead(b"GET", target.origin_form, HTTP_11, Fields())
    assert route.addressed(head, target) is head
    # An origin's 407 is the origin's affair.
    assert not await route.must_repeat(ResponseHead(407, b"Who?", HTTP_11, Fields()))
    assert not route.may_repeat
    assert route.says_nothing
    assert not route.is_doubtful
