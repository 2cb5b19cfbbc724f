"""Which kinds of carriers are tried, over which ways, in which order."""

from __future__ import annotations

import pytest

from underpass.address import Address
from underpass.carriers.base import Carrier
from underpass.carriers.get import GetCarrier
from underpass.carriers.methods import Methods
from underpass.carriers.poll import PollCarrier
from underpass.carriers.server_url import ServerUrl
from underpass.carriers.stream import StreamCarrier
from underpass.carriers.websocket import WebSocketCarrier
from underpass.client.makers import makers
from underpass.net.stream import Stream
from underpass.outbound.server_tls import ServerTls, Trust
from underpass.outbound.via import Via
from underpass.outbound.ways import Ways

PROXY = Via.parse("http://proxy.example:3128")


async def dial(address: Address) -> Stream:
    raise AssertionError("nothing is opened here")


def names(
    url: str = "http://t.example/",
    carrier: str = "auto",
    methods: str = "GET,POST,PUT,DELETE",
    through_proxy: bool = False,
) -> list[str]:
    parsed = ServerUrl.parse(url)
    ways = Ways(parsed, [(PROXY,)] if through_proxy else [()], dial, ServerTls(Trust()))
    return [one.name for one in makers(parsed, ways, carrier, Methods.parse(methods))]


def test_the_best_kind_is_first() -> None:
    assert names() == ["websocket, direct", "stream, direct", "poll, direct", "get, direct"]


@pytest.mark.parametrize(
    ("methods", "kinds"),
    [
        ("GET,POST", ["websocket", "stream", "poll", "get"]),
        ("POST", ["poll"]),
        ("GET", ["websocket", "get"]),
        ("PUT,POST,DELETE", ["poll"]),
    ],
)
def test_kinds_need_their_methods(methods: str, kinds: list[str]) -> None:
    assert names(methods=methods) == [f"{kind}, direct" for kind in kinds]


def test_one_kind_alone_can_be_chosen() -> None:
    assert names(carrier="poll") == ["poll, direct"]
    assert names(carrier="stream", methods="POST") == []


def test_all_ways_of_a_kind_come_before_the_next_kind() -> None:
    found = names(through_proxy=True)
    assert found[:3] == [
        "websocket, through proxy.example:3128",
        "websocket, through proxy.example:3128 without CONNECT",
        "stream, through proxy.example:3128 without CONNECT",
    ]


def test_kinds_tell_each_other_of_the_way_that_they_share() -> None:
    url = ServerUrl.parse("http://t.example/")
    via = Via.parse("http://proxy.example:3128")
    found = makers(url, Ways(url, [(via,), ()], dial, ServerTls(Trust())), "auto", Methods())
    paths: dict[str, set[int]] = {}
    for maker in found:
        way = maker.name.partition(", ")[2]
        paths.setdefault(way, set()).add(id(maker.pacing.path))
    assert [len(shared) for shared in paths.values()] == [1, 1, 1]
    assert len(set.union(*paths.values())) == 3
    assert len({id(maker.pacing) for maker in found}) == len(found)


def test_each_makes_its_own_kind_anew() -> None:
    url = ServerUrl.parse("http://t.example/")
    ways = Ways(url, [()], dial, ServerTls(Trust()))
    found = makers(url, ways, "auto", Methods())
    assert [maker.refused for maker in found] == [frozenset()] * 4
    kinds: list[type[Carrier]] = [WebSocketCarrier, StreamCarrier, PollCarrier, GetCarrier]
    for maker, kind in zip(found, kinds, strict=True):
        first = maker.make()
        assert isinstance(first, kind)
        assert maker.make() is not first
