"""The race for the first address that answers, on a clock of its own."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.outbound.jumping import run
from underpass.address import IPAddress
from underpass.errors import DialError, Failure, StreamReset
from underpass.outbound.direct import ATTEMPT_DELAY
from underpass.outbound.happy_eyeballs import interleave, most_telling, race
from underpass.testing import MemoryStream, stream_pair

V6 = [ipaddress.ip_address(f"2001:db8::{number}") for number in range(1, 4)]
V4 = [ipaddress.ip_address(f"192.0.2.{number}") for number in range(1, 4)]
FOREVER = 10_000.0


def refused() -> DialError:
    return DialError(Failure.CONNECTION_REFUSED)


@dataclass
class Network:
    """What becomes of an attempt at each address: after so many seconds, a stream or an error."""

    outcomes: dict[IPAddress, tuple[float, DialError | None]]
    started: list[tuple[IPAddress, float]] = field(default_factory=list)
    cancelled: list[IPAddress] = field(default_factory=list)
    opened: dict[IPAddress, MemoryStream] = field(default_factory=dict)
    ends: dict[IPAddress, MemoryStream] = field(default_factory=dict)

    async def attempt(self, ip: IPAddress) -> MemoryStream:
        self.started.append((ip, asyncio.get_running_loop().time()))
        seconds, error = self.outcomes[ip]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(ip)
            raise
        if error is not None:
            raise error
        self.opened[ip], self.ends[ip] = stream_pair()
        return self.opened[ip]

    async def winner(self, *candidates: IPAddress) -> tuple[IPAddress, float]:
        stream = await race(candidates, self.attempt, ATTEMPT_DELAY)
        now = asyncio.get_running_loop().time()
        return next(ip for ip, opened in self.opened.items() if opened is stream), now


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        (V4, V4),
        ([*V6, *V4], [V6[0], V4[0], V6[1], V4[1], V6[2], V4[2]]),
        ([V4[0], *V6], [V4[0], V6[0], V6[1], V6[2]]),
        ([*V6, V4[0]], [V6[0], V4[0], V6[1], V6[2]]),
    ],
)
def test_families_take_turns(given: list[IPAddress], expected: list[IPAddress]) -> None:
    assert interleave(given) == expected


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([Failure.NETWORK_UNREACHABLE, Failure.CONNECTION_REFUSED], Failure.CONNECTION_REFUSED),
        ([Failure.CONNECTION_TIMEOUT, Failure.HOST_UNREACHABLE], Failure.CONNECTION_TIMEOUT),
        ([Failure.INTERNAL, Failure.NETWORK_UNREACHABLE], Failure.NETWORK_UNREACHABLE),
        ([Failure.INTERNAL], Failure.INTERNAL),
    ],
)
def test_the_failure_nearest_to_the_destination_is_told(
    failures: list[Failure], told: Failure
) -> None:
    assert most_telling([DialError(failure) for failure in failures]).failure is told


def test_who_answers_soon_is_the_only_one_asked() -> None:
    network = Network({V6[0]: (0.2, None), V4[0]: (0.0, None)})
    assert run(network.winner(V6[0], V4[0])) == (V6[0], 0.2)
    assert network.started == [(V6[0], 0.0)]


def test_a_dead_ipv6_costs_less_than_300_ms() -> None:
    network = Network({V6[0]: (FOREVER, None), V4[0]: (0.01, None)})
    ip, seconds = run(network.winner(V6[0], V4[0]))
    assert ip == V4[0]
    assert seconds == pytest.approx(0.26)
    assert network.cancelled == [V6[0]]


def test_many_dead_addresses_cost_a_delay_each() -> None:
    network = Network({**dict.fromkeys(V6, (FOREVER, None)), V4[2]: (0.0, None)})
    assert run(network.winner(*V6, V4[2])) == (V4[2], 0.25)
    network = Network({**dict.fromkeys(V6, (FOREVER, None))})
    network.outcomes[V6[2]] = (0.0, None)
    assert run(network.winner(*V6)) == (V6[2], 0.5)


def test_a_failure_starts_the_next_at_once() -> None:
    network = Network({V6[0]: (0.05, refused()), V4[0]: (0.0, None)})
    assert run(network.winner(V6[0], V4[0])) == (V4[0], 0.05)


def test_a_failure_of_an_older_attempt_does_not_hurry_the_next() -> None:
    network = Network({V6[0]: (0.3, refused()), V4[0]: (FOREVER, None), V6[1]: (0.0, None)})
    assert run(network.winner(V6[0], V6[1], V4[0])) == (V6[1], 0.5)
    assert [at for _, at in network.started] == [0.0, 0.25, 0.5]


def test_a_slow_first_may_still_win() -> None:
    network = Network({V6[0]: (0.3, None), V4[0]: (0.2, None)})
    ip, seconds = run(network.winner(V6[0], V4[0]))
    assert ip == V6[0]
    assert seconds == pytest.approx(0.3)
    assert network.cancelled == [V4[0]]


def test_when_all_have_failed_the_most_telling_is_raised() -> None:
    unreachable = DialError(Failure.NETWORK_UNREACHABLE)
    network = Network({V6[0]: (0.0, unreachable), V4[0]: (0.1, refused())})
    with pytest.raises(DialError) as caught:
        run(network.winner(V6[0], V4[0]))
    assert caught.value.failure is Failure.CONNECTION_REFUSED


def test_the_last_one_is_waited_for() -> None:
    network = Network({V6[0]: (3.0, refused()), V4[0]: (5.0, None)})
    assert run(network.winner(V6[0], V4[0])) == (V4[0], 5.25)


def test_a_loser_that_opened_in_the_same_moment_is_reset_with_nothing_sent() -> None:
    network = Network({V6[0]: (0.25, None), V4[0]: (0.0, None)})

    async def play() -> None:
        winner, _ = await network.winner(V6[0], V4[0])
        assert len(network.opened) == 2
        [loser] = set(network.opened) - {winner}
        with pytest.raises(StreamReset):
            await network.ends[loser].receive()
        await network.opened[winner].send(b"payload")
        assert await network.ends[winner].receive() == b"payload"

    run(play())


async def cancelled_after(seconds: float, racing: Coroutine[Any, Any, object]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await racing


def test_a_cancelled_race_cancels_all_its_attempts() -> None:
    network = Network(dict.fromkeys((*V6, *V4), (FOREVER, None)))
    run(cancelled_after(0.6, network.winner(*V6, *V4)))
    assert set(network.cancelled) == {V6[0], V4[0], V6[1]}


def test_a_race_cancelled_after_it_was_won_frees_the_winner() -> None:
    network = Network({V4[0]: (0.3, None), V6[0]: (FOREVER, None)})

    def slow_to_leave(attempt: Callable[[IPAddress], Awaitable[MemoryStream]]) -> Any:
        async def wrapped(ip: IPAddress) -> MemoryStream:
            try:
                return await attempt(ip)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                raise

        return wrapped

    racing = race([V4[0], V6[0]], slow_to_leave(network.attempt), ATTEMPT_DELAY)
    run(cancelled_after(0.5, racing))

    async def check() -> None:
        with pytest.raises(StreamReset):
            await network.ends[V4[0]].receive()

    run(check())
