"""Sleep is told by two clocks."""

from __future__ import annotations

from underpass.tunnel.sleep import SleepWatch, boot_time


class Clocks:
    def __init__(self) -> None:
        self.running = 100.0
        self.going_on = 5000.0

    def watch(self) -> SleepWatch:
        return SleepWatch(lambda: self.running, lambda: self.going_on)

    def pass_on(self, awake: float, asleep: float = 0.0) -> None:
        self.running += awake
        self.going_on += awake + asleep


def test_time_that_both_clocks_saw_is_no_sleep() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    clocks.pass_on(3600)
    assert not watch.has_slept()


def test_time_that_one_clock_missed_is_sleep_and_told_once() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    clocks.pass_on(5, asleep=11)
    assert watch.has_slept()
    assert not watch.has_slept()
    clocks.pass_on(5, asleep=60)
    assert watch.has_slept()


def test_a_clock_that_is_set_right_a_little_is_no_sleep() -> None:
    clocks = Clocks()
    watch = clocks.watch()
    for seconds in (9, -9, 9):
        clocks.pass_on(5, asleep=seconds)
        assert not watch.has_slept()


def test_the_machines_own_clocks_agree_while_it_is_awake() -> None:
    watch = SleepWatch()
    assert boot_time() <= boot_time()
    assert not watch.has_slept()
