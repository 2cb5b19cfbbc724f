"""`Stopping`: how a process is told to end. The first signal lets it drain, a second ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

EXIT_INTERRUPTED = 130


@dataclass(slots=True, kw_only=True)
class Stopping:
    """What was told so far: to drain (`stopping`), to end at once (`ending`), with which code."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int = 0

    @contextlib.contextmanager
    def signals(self, reload: Callable[[], None]) -> Iterator[None]:
        """Within the block SIGTERM and SIGINT stop, SIGHUP calls `reload`."""
        handlers: dict[int, Callable[[], None]] = {
            signal.SIGTERM: lambda: self.stop(0),
            signal.SIGINT: lambda: self.stop(EXIT_INTERRUPTED),
            signal.SIGHUP: reload,
        }
        loop = asyncio.get_running_loop()
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def stop(self, exit_code: int) -> None:
        """Drain; end, where that was told before."""
        if self.stopping.is_set():
            self.ending.set()
        # Ctrl-C shows in the code, whichever signal comes after or before it.
        self.exit_code = max(self.exit_code, exit_code)
        self.stopping.set()

    async def unless_ended(self, drain: Coroutine[Any, Any, None]) -> None:
        """Run `drain` until it is done, or a second signal came."""
        async with asyncio.TaskGroup() as tasks:
            drained = tasks.create_task(drain)
            ended = tasks.create_task(self.ending.wait())
            await asyncio.wait((drained, ended), return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            ended.cancel()
