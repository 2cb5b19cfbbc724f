"""A loop in a thread of its own: origins that serve while a test waits for a program."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

T = TypeVar("T")

# Far above what a loaded machine needs to open a socket; below the time-out of a test.
SECONDS = 20.0


class LoopThread:
    """Runs coroutines and async context managers for code that has no loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there, and wait for its result here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)

    @contextlib.contextmanager
    def within(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter there, and leave there at the end."""
        value = self.run(_enter(manager))
        try:
            yield value
        finally:
            self.run(_leave(manager))


async def _enter(manager: AbstractAsyncContextManager[T]) -> T:
    return await manager.__aenter__()


async def _leave(manager: AbstractAsyncContextManager[Any]) -> None:
    await manager.__aexit__(None, None, None)


async def _cancel_all() -> None:
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def loop_thread() -> Iterator[LoopThread]:
    """Start one, and end it with everything that still runs in it."""
    mine = LoopThread()
    thread = threading.Thread(target=mine.loop.run_forever, name="origins", daemon=True)
    thread.start()
    try:
        yield mine
    finally:
        mine.run(_cancel_all())
        mine.run(mine.loop.shutdown_asyncgens())
        mine.loop.call_soon_threadsafe(mine.loop.stop)
        thread.join(SECONDS)
        mine.loop.close()
