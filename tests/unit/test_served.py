"""What a proxy and a server are alike in; each has its own tests of the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from underpass.access import Effect, Policy, Principal, Rule
from underpass.address import Address, ListenAddress
from underpass.errors import Forbidden
from underpass.options import Limits, ProxyOptions
from underpass.served import Served, changed, direct, gate_limits
from underpass.server_options import ServerLimits

HERE = ListenAddress("127.0.0.1", 0)


class Steps(Served):
    """Keeps how it was ended."""

    def __init__(self) -> None:
        super().__init__(Limits(), None)
        self.steps: list[str] = []

    async def __aenter__(self) -> Steps:
        await self._tasks.__aenter__()
        return self

    @property
    def drain_timeout(self) -> float:
        return 7.0

    def stop_accepting(self) -> None:
        self.steps.append("stop")

    async def drain(self, timeout: float) -> None:
        self.steps.append(f"drain {timeout:g}")

    def end(self) -> None:
        self._ended = True
        self.steps.append("end")


async def test_leaving_drains_and_ends() -> None:
    async with Steps() as one:
        pass
    assert one.steps == ["stop", "drain 7", "end"]


async def test_an_error_and_an_end_leave_nothing_to_wait_for() -> None:
    with pytest.raises(KeyError):
        async with Steps() as one:
            raise KeyError
    assert one.steps == ["stop", "end"]
    async with Steps() as other:
        other.end()
    assert other.steps == ["end", "stop", "end"]


async def test_clients_are_kept_from_its_own_listeners() -> None:
    one = Steps()
    [sock] = one._bound(None, [HERE])
    with sock:
        [bound] = one.addresses
        everything = Policy((Rule.parse(Effect.ALLOW, "127.0.0.0/8"),))
        guard = one._guarded(everything, direct(Limits(), None))
        with pytest.raises(Forbidden):
            await guard.dial(Principal("-"), Address("127.0.0.1", bound.port))


async def test_names_are_asked_of_who_was_given() -> None:
    asked: list[str] = []

    def lookup(name: str) -> list[str]:
        asked.append(name)
        return ["192.0.2.1"]

    async with asyncio.timeout(5):
        [ip] = await direct(ServerLimits(), lookup).resolve(Address("a.example", 80))
    assert (asked, str(ip)) == (["a.example"], "192.0.2.1")


@pytest.mark.parametrize("kind", [Limits, ServerLimits])
def test_who_may_come_in_is_as_the_limits_say(kind: type[Limits] | type[ServerLimits]) -> None:
    limits = kind(max_connections=3, max_connections_per_client=2, max_unauthenticated=1)
    gate = gate_limits(limits)
    assert (gate.total, gate.per_client, gate.unsettled) == (3, 2, 1)


def test_what_has_changed_is_named() -> None:
    before = ProxyOptions(state=Path("/a"))
    now = ProxyOptions(state=Path("/a"), workers=2, log="json")
    assert changed(("listen", "workers", "log", "state"), now, before) == ["workers", "log"]
