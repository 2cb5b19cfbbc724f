"""The guard: what policy is asked, on which addresses, and what is then connected to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator

import pytest

from tests.unit.outbound.parents import free, parent
from underpass.access import Effect, Policy, Principal, Rule
from underpass.address import Address
from underpass.errors import DialError, Failure, Forbidden
from underpass.net.resolve import Resolver
from underpass.net.route import StreamRoute
from underpass.observe import Counter, Counters, Histogram
from underpass.outbound.direct import Direct, DirectOptions
from underpass.outbound.guard import Guard
from underpass.outbound.own_listeners import OwnListeners
from underpass.outbound.upstream import Upstream
from underpass.outbound.upstream_route import UpstreamRoute
from underpass.outbound.via import Via

BOB = Principal("bob")
ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def allow(text: str) -> Rule:
    return Rule.parse(Effect.ALLOW, text)


def deny(text: str) -> Rule:
    return Rule.parse(Effect.DENY, text)


class Names:
    """Answers each look-up by the next of a list, the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Loopback:
    """Listeners on three addresses and one port, and a guarded dial to them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        first = stack.enter_context(socket.create_server((ONE, 0)))
        self.port: int = first.getsockname()[1]
        others = [stack.enter_context(socket.create_server((ip, self.port))) for ip in (TWO, THREE)]
        self.listeners = [first, *others]
        self.names = Names([ONE])
        self.own = OwnListeners()
        self.counters = Counters()

    def look_up(self, host: str) -> list[str]:
        return self.names(host)

    def guard(self, *rules: Rule) -> Guard:
        direct = Direct(Resolver(5.0, self.look_up), DirectOptions(5.0, attempt_delay=0.01))
        return Guard(Policy(rules), direct, self.own, self.counters)

    async def reached(self, guard: Guard, host: str, who: Principal = BOB) -> str:
        """Where a stream to `host` leads."""
        stream = await guard.dial_as(who)(Address.of(host, self.port))
        assert stream.peer is not None
        where = stream.peer.host
        await free(stream)
        return where

    async def refused(self, guard: Guard, host: str, who: Principal = BOB) -> DialError:
        with pytest.raises(DialError) as caught:
            await guard.dial(who, Address.of(host, self.port))
        return caught.value

    def accepted(self) -> list[int]:
        """How many streams each listener got."""
        return [self._drain(listener) for listener in self.listeners]

    def _drain(self, listener: socket.socket) -> int:
        listener.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                count += 1
        return count


@pytest.fixture
def net() -> Iterator[Loopback]:
    with contextlib.ExitStack() as stack:
        yield Loopback(stack)


# --- addresses


async def test_a_literal_is_denied_by_default_and_opened_by_a_rule(net: Loopback) -> None:
    error = await net.refused(net.guard(), ONE)
    assert isinstance(error, Forbidden)
    assert error.failure is Failure.IP_PROHIBITED
    assert await net.reached(net.guard(allow(ONE)), ONE) == ONE
    assert (await net.refused(net.guard(allow(ONE), deny(f"{ONE}:{net.port}")), ONE)).failure is (
        Failure.FORBIDDEN
    )
    assert net.accepted() == [1, 0, 0]
    assert net.names.asked == []


async def test_a_name_is_resolved_once_and_its_literal_connected_to(net: Loopback) -> None:
    guard = net.guard(allow(ONE))
    assert await net.reached(guard, "site.example") == ONE
    assert net.names.asked == ["site.example"]


async def test_a_name_that_is_denied_is_not_even_looked_up(net: Loopback) -> None:
    error = await net.refused(net.guard(deny("*.example")), "site.example")
    assert error.failure is Failure.FORBIDDEN
    assert "denied by rule *.example" in error.details
    assert net.names.asked == []


async def test_of_mixed_answers_only_what_passed_is_connected_to(net: Loopback) -> None:
    net.names = Names([TWO, THREE, ONE])
    assert await net.reached(net.guard(allow(ONE)), "site.example") == ONE
    assert net.accepted() == [1, 0, 0]


async def test_where_no_answer_passes_the_first_refusal_is_told(net: Loopback) -> None:
    net.names = Names([TWO, "10.0.0.1"])
    error = await net.refused(net.guard(allow(ONE)), "site.example")
    assert error.failure is Failure.IP_PROHIBITED
    assert TWO in error.details
    assert net.accepted() == [0, 0, 0]


async def test_a_name_server_that_changes_its_mind_opens_nothing(net: Loopback) -> None:
    # The first answer is good, every later one leads to a denied address.
    net.names = Names([ONE], [TWO])
    guard = net.guard(allow(ONE))
    assert await net.reached(guard, "site.example") == ONE
    for _ in range(3):
        assert (await net.refused(guard, "site.example")).failure is Failure.IP_PROHIBITED
    assert net.accepted() == [1, 0, 0]
    assert len(net.names.asked) == 4


async def test_an_ipv4_hidden_in_the_answer_is_found(net: Loopback) -> None:
    for hidden in (f"::ffff:{TWO}", "64:ff9b::7f00:2", "2002:7f00:2::"):
        net.names = Names([hidden])
        error = await net.refused(net.guard(), "site.example")
        assert error.failure is Failure.IP_PROHIBITED
    assert net.accepted() == [0, 0, 0]


async def test_rules_of_the_principal_hold(net: Loopback) -> None:
    guard = net.guard(allow("127.0.0.0/8"))
    eve = Principal("eve", (deny("*"), allow(ONE)))
    assert await net.reached(guard, ONE, eve) == ONE
    assert (await net.refused(guard, TWO, eve)).failure is Failure.FORBIDDEN
    assert await net.reached(guard, TWO) == TWO


async def test_our_own_listener_is_never_dialled(net: Loopback) -> None:
    net.own.add(ONE, net.port)
    guard = net.guard(allow("127.0.0.0/8"), allow("0.0.0.0"))
    for host in (ONE, "0.0.0.0", "localhost"):
        assert (await net.refused(guard, host)).failure is Failure.LOOP
    net.names = Names([ONE, TWO])
    assert await net.reached(guard, "site.example") == TWO
    assert net.accepted() == [0, 1, 0]


# --- what is counted


async def test_dials_are_counted_and_timed(net: Loopback) -> None:
    await net.reached(net.guard(allow(ONE)), "site.example")
    assert net.counters.value(Counter.DIALS) == 1
    assert net.counters.value(Counter.DIAL_FAILURES) == 0
    assert sum(net.counters.snapshot().timings[Histogram.DIAL_SECONDS].buckets) == 1


async def test_failures_are_counted_and_refusals_are_not(net: Loopback) -> None:
    guard = net.guard(allow("127.0.0.0/8"), deny(TWO))
    net.names = Names([])
    await net.refused(guard, "unknown.example")
    await net.refused(guard, "127.0.0.9")
    assert net.counters.value(Counter.DIALS) == 2
    assert net.counters.value(Counter.DIAL_FAILURES) == 2
    net.names = Names([TWO])
    for host in (TWO, "site.example", "10.0.0.1"):
        await net.refused(guard, host)
    assert net.counters.value(Counter.DIALS) == 2


# --- routes


async def test_a_plain_request_goes_over_a_guarded_stream(net: Loopback) -> None:
    guard = net.guard(allow(ONE))
    route = guard.route_for(BOB, Address("site.example", net.port))
    assert isinstance(route, StreamRoute)
    stream = await route.open()
    assert stream.peer == Address(ONE, net.port)
    await free(stream)
    net.names = Names([TWO])
    with pytest.raises(Forbidden):
        await guard.route_for(BOB, Address("site.example", net.port)).open()


async def test_a_plain_request_is_asked_about_before_anything_is_opened(net: Loopback) -> None:
    guard = net.guard(deny("*.example"))
    for host in ("site.example", TWO):
        with pytest.raises(Forbidden):
            guard.route_for(BOB, Address(host, 80))


# --- through an upstream proxy


def upstream_guard(net: Loopback, scheme: str, *rules: Rule) -> Guard:
    direct = Direct(Resolver(5.0, net.names))
    upstream = Upstream(Via.parse(f"{scheme}://{THREE}:{net.port}"), direct.open)
    return Guard(Policy(rules), upstream, net.own, net.counters)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_through_an_upstream_names_and_literals_are_asked_about(
    net: Loopback, scheme: str
) -> None:
    guard = upstream_guard(net, scheme, deny("*.example"))
    net.own.add(ONE, net.port)
    for host in ("site.example", TWO, "10.0.0.1", ONE):
        assert isinstance(await net.refused(guard, host), Forbidden)
    assert net.names.asked == []
    assert net.accepted() == [0, 0, 0]


async def test_plain_requests_are_handed_to_an_http_proxy_and_dialled_through_socks(
    net: Loopback,
) -> None:
    site = Address("site.example", 80)
    route = upstream_guard(net, "http").route_for(BOB, site)
    assert isinstance(route, UpstreamRoute)
    stream = await route.open()
    # The proxy's own address is whoever runs this one's to name, private or not.
    assert stream.peer == Address(THREE, net.port)
    await free(stream)
    assert net.counters.value(Counter.DIALS) == 1
    assert isinstance(upstream_guard(net, "socks5").route_for(BOB, site), StreamRoute)
    with pytest.raises(Forbidden):
        upstream_guard(net, "http", deny("*")).route_for(BOB, site)


async def test_what_is_allowed_only_for_a_name_says_nothing_of_the_address(net: Loopback) -> None:
    guard = net.guard(allow("site.example"))
    assert await net.reached(guard, "site.example") == ONE
    assert (await net.refused(guard, ONE)).failure is Failure.IP_PROHIBITED
    assert guard.policy.allows(BOB, Address("site.example", 80), ipaddress.ip_address(ONE))


async def test_a_tunnel_is_opened_through_the_upstream(net: Loopback) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT site.example:443 ")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with parent(script) as p:
        guard = Guard(Policy(), p.upstream(), net.own, net.counters)
        await free(await guard.dial(BOB, Address("site.example", 443)))
        assert net.counters.value(Counter.DIALS) == 1
