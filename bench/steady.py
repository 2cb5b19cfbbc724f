"""An application that goes on and on over one stream, and tells what became of its bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bench.generator import Entry
from bench.programs.launch import split
from bench.wan.entry import Way

PIECE = 512
# Between two pieces: how finely it is known when bytes flow again.
REST_SECONDS = 0.04
# What is under way at most; an application that sends on for ever would not notice.
AHEAD = 256 * 1024
# A stream that brings nothing for so long is given up by whoever uses it.
HUNG_SECONDS = 8.0
# Between two tries to open a stream anew.
AGAIN_SECONDS = 0.1
OPEN_SECONDS = 5.0
PERIOD = 65521
PATTERN = bytes((i * i + i // 251) % 256 for i in range(PERIOD)) * 2


@dataclass(slots=True)
class Account:
    """What became of one application's bytes over all its streams.

    `lost`: bytes sent whose echo never came; `wrong`: streams that brought a wrong byte. `broken`:
    streams that ended, or brought nothing for `HUNG_SECONDS`, before their application ended them.
    `pauses`: seconds from each cut until a byte sent after it was back.
    """

    lost: int = 0
    wrong: int = 0
    broken: int = 0
    pauses: list[float] = field(default_factory=list)


class BrokenError(Exception):
    """A stream ended that should not have."""


class Steady:
    """Sends a pattern to an echo and checks what comes back; opens a new stream where one broke.

    `address` and `entry` are where it comes in at a program, `origin` is the echo, on loopback.
    """

    def __init__(self, address: str, entry: Entry, origin: str) -> None:
        self.account = Account()
        # Bytes that came back over the present stream.
        self.checked = 0
        self._way = Way(entry, *split(address), "")
        self._port = split(origin)[1]
        self._sent = 0
        self._is_over = False
        # Of the oldest cut after which nothing has come back: when, and what had been sent by then.
        self._cut_at: float | None = None
        self._cut_sent = 0

    def cut(self) -> None:
        """Note that its carriers are cut now."""
        if self._cut_at is None:
            self._cut_at, self._cut_sent = _now(), self._sent

    def end(self) -> None:
        """Send no more; `run` returns when the last byte is back."""
        self._is_over = True

    async def run(self) -> None:
        """Go on until `end`."""
        while True:
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    reader, writer = await self._way.open(self._port)
            except (OSError, EOFError):
                if self._is_over:
                    break
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            is_whole = await self._use(reader, writer)
            writer.transport.abort()
            if is_whole or self._is_over:
                break
        if self._cut_at is not None:
            self.account.pauses.append(_now() - self._cut_at)

    async def _use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Use one stream to its end; whether that was ours."""
        self._sent = self.checked = self._cut_sent = 0
        is_whole = True
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send(writer))
                await self._check(reader, sending)
        except* (BrokenError, OSError):
            self.account.broken += 1
            self.account.lost += self._sent - self.checked
            is_whole = False
        return is_whole

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while not self._is_over:
            if self._sent - self.checked < AHEAD:
                self._send_piece(writer)
            await asyncio.sleep(REST_SECONDS)
        # Its echo wakes whoever checks, who then sees that all is back.
        self._send_piece(writer)

    def _send_piece(self, writer: asyncio.StreamWriter) -> None:
        # uvloop says RuntimeError of it, where asyncio says nothing.
        if writer.transport.is_closing():
            raise BrokenError("the stream is closed")
        at = self._sent % PERIOD
        self._sent += PIECE
        writer.write(PATTERN[at : at + PIECE])

    async def _check(self, reader: asyncio.StreamReader, sending: asyncio.Task[None]) -> None:
        while not sending.done() or self.checked < self._sent:
            data = await self._receive(reader)
            at = self.checked % PERIOD
            if data != PATTERN[at : at + len(data)]:
                self.account.wrong += 1
                raise BrokenError("wrong bytes came back")
            self.checked += len(data)
            if self._cut_at is not None and self.checked > self._cut_sent:
                self.account.pauses.append(_now() - self._cut_at)
                self._cut_at = None

    async def _receive(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(HUNG_SECONDS):
                data = await reader.read(PERIOD)
        except TimeoutError:
            raise BrokenError("nothing came back") from None
        if not data:
            raise BrokenError("the stream ended")
        return data


def _now() -> float:
    return asyncio.get_running_loop().time()
