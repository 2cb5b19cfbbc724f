"""The page: says what was run, who is ahead, and what failed."""

from __future__ import annotations

from typing import Any

from bench.chapters import proxy
from bench.markdown import write_page


def results(**changes: Any) -> dict[str, Any]:
    return {
        "command": "python -m bench.run",
        "finished": "2026-01-02 03:04 UTC",
        "rounds": 3,
        "seconds_each": 2.0,
        "machine": {
            "cores": 2,
            "processor": "Abacus",
            "memory_gib": 4.0,
            "kernel": "Linux 6",
            "python": "3.11.7",
        },
        "programs": {"squid": {"version": "5.7", "remark": "one worker"}},
        "values": {
            "direct": {"connects": [900.0]},
            "underpass": {"connects": [50.0, 60.0, 40.0]},
            "squid": {"connects": [100.0, 90.0, 120.0]},
        },
        "failures": [],
    } | changes


def page_of(found: dict[str, Any]) -> str:
    return write_page({"proxy": found})


def test_write_page_names_machine_command_and_versions() -> None:
    page = page_of(results())
    assert "2 cores, Abacus, 4.0 GiB, Linux 6, CPython 3.11.7" in page
    assert "`python -m bench.run`, finished 2026-01-02 03:04 UTC: rounds: 3, 2.0 s" in page
    assert "squid 5.7 (one worker)" in page


def test_write_page_says_where_a_peer_wins() -> None:
    page = page_of(results())
    assert "| CONNECT, one byte echoed, closed | **squid ahead of underpass, 2.00 ×** |" in page


def test_write_page_tables_have_median_and_range() -> None:
    page = page_of(results())
    assert "| **underpass** | 50 (40 – 60) |" in page
    assert "| direct | 900 (900 – 900) |" in page


def test_write_page_shows_only_what_was_measured() -> None:
    page = page_of(results())
    assert "proxy-connects.svg" in page
    assert "proxy-gets.svg" not in page
    assert "### Memory" not in page


def test_write_page_lists_failures() -> None:
    assert "### Failed" not in page_of(results())
    page = page_of(results(failures=["pproxy, gets: closed before the answer"]))
    assert "- pproxy, gets: closed before the answer" in page


def test_write_page_without_underpass_says_so() -> None:
    page = page_of(results(values={"underpass": {}, "squid": {"connects": [100.0]}}))
    assert "best: squid; underpass was not measured" in page
    assert "underpass itself was not measured" in page


def test_write_page_says_which_scenario_is_missing() -> None:
    assert "**The proxy**\n\n- not measured\n" in write_page({})


def test_write_page_tells_a_goal_missed_from_one_with_nobody_to_compare_with() -> None:
    page = page_of(results(values={"underpass": {"connects": [50.0]}, "squid": {}}))
    assert "CONNECT/s: **not held** (" in page
    everything = {figure.key: [50.0] for figure in proxy.CHAPTER.figures}
    page = page_of(results(values={"underpass": everything, "squid": {}}))
    assert "in all: **not known**, as none of these was measured: pproxy, proxy.py" in page


def test_write_page_says_of_a_goal_that_is_held_who_was_not_there() -> None:
    everything = {figure.key: [50.0] for figure in proxy.CHAPTER.figures}
    page = page_of(results(values={"underpass": everything, "squid": everything}))
    assert "CONNECT/s: held; not measured: tinyproxy, gost" in page
