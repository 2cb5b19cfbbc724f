"""`CarrierTable`: the carriers of this process that come in separate requests, by their tokens."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from underpass.carriers.base import Admission, Carry, Door
from underpass.carriers.served_pieces import ServedPieces

logger = logging.getLogger(__name__)

# More than one process serves at its limits; a session has 16 at most.
MAX_CARRIERS = 4096
# As many may be just about to say that they end: the session's last word has ended them already.
MAX_ENDED = 1024


def _future() -> asyncio.Future[bytes | None]:
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False, slots=True)
class _Opened:
    """A carrier, the message that opened it, and the answer to that once it is known."""

    message: bytes
    pieces: ServedPieces
    answer: asyncio.Future[bytes | None] = field(default_factory=_future)


class CarrierTable:
    """See the module. The carriers that `door` lets in run in `tasks`."""

    def __init__(self, door: Door, tasks: asyncio.TaskGroup) -> None:
        self._door = door
        self._tasks = tasks
        self._opened: dict[str, _Opened] = {}
        # Those that have ended, the latest last.
        self._ended: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._opened)

    def find(self, token: str) -> ServedPieces | None:
        """The carrier with this token."""
        opened = self._opened.get(token)
        return opened.pieces if opened is not None else None

    def has_ended(self, token: str) -> bool:
        """Whether there was a carrier with this token, not long ago."""
        return token in self._ended

    def end(self, reason: str) -> None:
        """End all carriers."""
        for opened in list(self._opened.values()):
            opened.pieces.end(reason)

    async def open(self, token: str, message: bytes, first: int) -> bytes | None:
        """Return the server's opening message for a client's; None for a stranger.

        The same once more gets the same answer, as boxes repeat requests. `first` is the number of
        the first piece each way.
        """
        known = self._opened.get(token)
        if known is not None:
            return await asyncio.shield(known.answer) if known.message == message else None
        if len(self._opened) >= MAX_CARRIERS:
            return None
        opened = self._opened[token] = _Opened(message, ServedPieces(first))
        admission: Admission | None = None
        try:
            admission = await self._door(message)
        finally:
            opened.answer.set_result(admission.answer if admission is not None else None)
            if admission is None or admission.carry is None:
                del self._opened[token]
        if admission is None:
            return None
        if admission.carry is not None:
            self._tasks.create_task(self._carry(token, opened, admission.carry), name="carrier")
        return admission.answer

    async def _carry(self, token: str, opened: _Opened, carry: Carry) -> None:
        try:
            await carry(opened.pieces.run)
        except Exception:
            # The one broad catch of this task: a bug ends this carrier, and nobody else's.
            logger.exception("a carrier failed")
        finally:
            opened.pieces.end("the carrier has ended")
            del self._opened[token]
            self._ended[token] = None
            if len(self._ended) > MAX_ENDED:
                del self._ended[next(iter(self._ended))]
