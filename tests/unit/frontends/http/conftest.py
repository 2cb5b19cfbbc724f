"""Both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every dialogue is held on both loops: a client sees the same or it is a bug."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
