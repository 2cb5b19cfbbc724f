"""The gate: bounds in all, a client, and on those who have not proved useful."""

from __future__ import annotations

import asyncio
from functools import partial

from underpass.net.gate import Gate, GateLimits, Ticket
from underpass.observe import Counter, Counters


def admit(gate: Gate, client: str) -> Ticket:
    ticket = gate.admit(client)
    assert ticket is not None
    return ticket


def test_no_limits_admit_everybody() -> None:
    gate = Gate(GateLimits())
    assert all(gate.admit("192.0.2.1") for _ in range(100))
    assert len(gate) == 100


def test_total_turns_the_newcomer_away_until_one_leaves() -> None:
    gate = Gate(GateLimits(total=2))
    first, _ = admit(gate, "192.0.2.1"), admit(gate, "192.0.2.2")
    assert gate.admit("192.0.2.3") is None
    assert gate.counters.value(Counter.CONNECTIONS_SHED) == 1
    first.leave()
    first.leave()
    assert gate.admit("192.0.2.3") is not None
    assert gate.admit("192.0.2.4") is None


def test_one_client_cannot_take_every_place() -> None:
    gate = Gate(GateLimits(per_client=1))
    ticket = admit(gate, "192.0.2.1")
    assert gate.admit("192.0.2.1") is None
    assert gate.admit("192.0.2.2") is not None
    ticket.leave()
    assert gate.admit("192.0.2.1") is not None


def test_oldest_unsettled_makes_room_for_the_newcomer() -> None:
    gate = Gate(GateLimits(unsettled=2))
    ended: list[str] = []
    settled = admit(gate, "192.0.2.1")
    settled.on_evict(lambda: ended.append("settled"))
    settled.settled()
    drip = admit(gate, "192.0.2.2")
    drip.on_evict(lambda: ended.append("drip"))
    admit(gate, "192.0.2.3")
    admit(gate, "192.0.2.4")
    assert ended == ["drip"]
    assert gate.counters.value(Counter.CONNECTIONS_SHED) == 1
    # Evicted is not yet gone: the place is given back when its task has ended.
    assert len(gate) == 4
    drip.leave()
    assert len(gate) == 3


def test_evicted_before_there_is_a_way_to_end_it_ends_as_soon_as_there_is() -> None:
    gate = Gate(GateLimits(unsettled=1))
    ended: list[str] = []
    early = admit(gate, "192.0.2.1")
    assert gate.admit("192.0.2.2") is not None
    early.on_evict(lambda: ended.append("early"))
    assert ended == ["early"]


def test_evict_all_ends_everyone_inside() -> None:
    gate = Gate(GateLimits())
    ended: list[str] = []
    for client in ("192.0.2.1", "192.0.2.2"):
        ticket = admit(gate, client)
        ticket.on_evict(partial(ended.append, client))
    gate.evict_all()
    assert sorted(ended) == ["192.0.2.1", "192.0.2.2"]


def test_who_comes_is_inside_and_is_turned_away_is_counted() -> None:
    counters = Counters()
    gate = Gate(GateLimits(total=2), counters)
    first = admit(gate, "192.0.2.1")
    admit(gate, "192.0.2.1")
    assert gate.admit("192.0.2.1") is None
    first.leave()
    first.leave()
    assert counters.value(Counter.CONNECTIONS_ACCEPTED) == 2
    assert counters.value(Counter.CONNECTIONS_OPEN) == 1
    assert counters.value(Counter.CONNECTIONS_SHED) == 1


async def test_who_waits_for_the_last_to_leave_is_woken_by_it() -> None:
    gate = Gate(GateLimits())
    await gate.wait_empty()
    tickets = [admit(gate, "192.0.2.1") for _ in range(2)]
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(gate.wait_empty())
        await asyncio.sleep(0)
        tickets[0].leave()
        await asyncio.sleep(0)
        assert not waiting.done()
        tickets[1].leave()
        await waiting


def test_a_place_that_is_kept_is_evicted_by_its_new_holder() -> None:
    gate = Gate(GateLimits())
    ended: list[str] = []
    ticket = admit(gate, "192.0.2.1")
    ticket.on_evict(lambda: ended.append("task"))
    ticket.keep(lambda: ended.append("tunnel"))
    assert ticket.is_kept
    gate.evict_all()
    assert ended == ["tunnel"]
    assert len(gate) == 1
    ticket.leave()
    assert len(gate) == 0
