"""Freed memory is kept where the C library can be told to, and nothing breaks where it can't."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import textwrap

import pytest

from underpass.net.memory import keep_freed_memory

# Both kinds of buffers in turn, as a relay makes and drops them; prints the pages they cost.
_CHURN = textwrap.dedent(
    """
    import resource
    from underpass.net.memory import keep_freed_memory

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(200):
            kept = [bytes(65_536) for _ in range(8)]
            kept.append(bytes(262_144))
            del kept
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    usual = faults()
    print(keep_freed_memory(), usual, faults())
    """
)


def has_glibc() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    except (OSError, TypeError):
        return False


def test_buffers_of_a_moment_ago_cost_no_new_pages() -> None:
    # In a process of its own: what is set here can't be taken back.
    told = subprocess.run(
        [sys.executable, "-c", _CHURN], check=True, capture_output=True, text=True, timeout=30
    )
    is_in_force, usual, kept = told.stdout.split()
    assert is_in_force == str(has_glibc())
    if has_glibc():
        # A first round of pages, and then none.
        assert int(kept) < 1000 < int(usual)


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_a_system_without_it_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def unknown(_: None) -> ctypes.CDLL:
        raise error

    monkeypatch.setattr("ctypes.CDLL", unknown)
    assert not keep_freed_memory()


def test_a_c_library_without_it_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not keep_freed_memory()
