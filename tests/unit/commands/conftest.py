"""A clean environment for every command, and a stand-in for what runs a proxy."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from underpass.options import ProxyOptions
from underpass.worker import WorkerInheritance

Load = Callable[[], ProxyOptions]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("UNDERPASS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Started:
    """Stands where a proxy would run, and remembers how it was started."""

    def __init__(self) -> None:
        self.load: Load = ProxyOptions
        self.inheritance: WorkerInheritance | None = None
        self.argv: list[str] | None = None
        self.error: BaseException | None = None

    def run_proxy(self, load: Load, inheritance: WorkerInheritance | None = None) -> int:
        self.load, self.inheritance = load, inheritance
        if self.error is not None:
            raise self.error
        return 0

    def run_workers(self, load: Load, argv: list[str]) -> int:
        self.load, self.argv = load, argv
        return 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    started = Started()
    app, supervisor = types.ModuleType("underpass.app"), types.ModuleType("underpass.supervisor")
    monkeypatch.setattr(app, "run_proxy", started.run_proxy, raising=False)
    monkeypatch.setattr(supervisor, "run_workers", started.run_workers, raising=False)
    monkeypatch.setitem(sys.modules, "underpass.app", app)
    monkeypatch.setitem(sys.modules, "underpass.supervisor", supervisor)
    return started
