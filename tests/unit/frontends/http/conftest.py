"""Both event loops, and real streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.unit.net.conftest import make_pair
from underpass.frontends.http.quick import Quick

__all__ = ["answered", "make_pair", "pytest_asyncio_loop_factories"]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every dialogue is held on both loops: a client sees the same or it is a bug."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each response that `Quick` was offered was answered by it."""
    seen: list[bool] = []
    original = Quick._has_answered

    def remember(self: Quick, data: bytes) -> bool:
        seen.append(original(self, data))
        return seen[-1]

    monkeypatch.setattr(Quick, "_has_answered", remember)
    return seen
