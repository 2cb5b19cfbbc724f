"""Twenty schedules of faults for each carrier; `make faults` runs a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import replay, run_seeds, schedule
from tests.chaos.results import aborted_on_memory
from underpass.client_options import CARRIERS


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_twenty_schedules(carrier: str, tmp_path: Path) -> None:
    tally = await run_seeds(carrier, range(20), tmp_path)
    assert tally.failed == {}
    assert tally.bytes > 0


def test_a_seed_says_it_all() -> None:
    assert schedule(7, "poll") == schedule(7, "poll")
    assert schedule(7, "poll") != schedule(8, "poll")
    assert replay("get", 7).endswith("--carriers get --first 7 --seeds 1")


def test_what_the_kernel_resets_for_want_of_memory_is_known(tmp_path: Path) -> None:
    said = tmp_path / "netstat"
    said.write_text("TcpExt: TW TCPAbortOnMemory TCPOther\nTcpExt: 7 3 9\nIpExt: A\nIpExt: 1\n")
    assert aborted_on_memory(said) == 3
    said.write_text("IpExt: A\nIpExt: 1\n")
    assert aborted_on_memory(said) == 0
    assert aborted_on_memory(tmp_path / "nothing") == 0
