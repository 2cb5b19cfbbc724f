"""Both event loops, and real streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop

from tests.unit.net.conftest import make_pair

__all__ = ["make_pair", "pytest_asyncio_loop_factories"]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every dialogue is held on both loops: a client sees the same or it is a bug."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
