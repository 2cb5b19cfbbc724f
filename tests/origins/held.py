"""An async context held open in a thread: it serves while a test uses blocking sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

T = TypeVar("T")

# Far above what a loaded machine needs to open or end anything here.
SECONDS = 10.0

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_Entered = tuple[T, Callable[[], object]]


@contextlib.contextmanager
def held(
    manager: AbstractAsyncContextManager[T], loop_factory: LoopFactory | None = None
) -> Iterator[T]:
    """Enter and leave `manager` in one task of a loop of its own, as task groups want it."""
    entered: Future[_Entered[T]] = Future()

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_hold(manager, entered))

    thread = threading.Thread(target=run, name="held")
    thread.start()
    value, leave = entered.result(SECONDS)
    try:
        yield value
    finally:
        leave()
        thread.join(SECONDS)


async def _hold(manager: AbstractAsyncContextManager[T], entered: Future[_Entered[T]]) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    try:
        async with manager as value:
            entered.set_result((value, lambda: loop.call_soon_threadsafe(done.set)))
            await done.wait()
    except Exception as error:
        if entered.done():
            raise
        # Whoever waits for the value gets the error instead.
        entered.set_exception(error)
