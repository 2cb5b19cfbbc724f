"""What a carrier is to a tunnel, and what a tunnel is to a carrier (docs/carriers.md).

A carrier moves bytes both ways and may die at any time: what was under way then goes out again on
another. It understands nothing of what it carries, but that what `Feed.take` gives is records, and
that the first message each way is an opening message (docs/protocol.md section 2).
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from underpass.errors import UnderpassError
from underpass.protocol.frames import Payload


class CarrierError(UnderpassError):
    """A carrier could not be opened, or has ended. The text says why, for a person.

    `status` is the HTTP status that said so, 0 for none. `retry_after` is how many seconds the
    answer told to wait, None where it did not.
    """

    def __init__(self, reason: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of a group of `CarrierError`; the group itself where there is any other in it."""
    if errors.split(CarrierError)[1] is not None:
        return errors
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Feed(Protocol):
    """One carrier's end of its session: where it takes records from and hands what came to.

    All but `output` return at once. After the session has ended, or given this carrier up, `take`
    gives nothing and `receive` takes nothing, and `output` raises `CarrierError`: end then.
    """

    def take(self, limit: int) -> list[bytes]:
        """Return records to send now, in order, within `limit` bytes; empty when there are none.

        A first one that is sent again may be longer than `limit` (`MAX_RECORD_BYTES` at most): a
        carrier with less room cuts it and puts it together again at the other end.
        """

    def receive(self, data: Payload) -> None:
        """Hand over bytes, whole records or any pieces of them, in the order of the other end."""

    def cut(self) -> None:
        """What was received last is not whole, and its rest will not come."""

    def lost(self, records: list[bytes]) -> None:
        """These records, of one exchange that failed, may not have arrived."""

    def watch(self, wake: Callable[[], None] | None) -> None:
        """Have `wake` called whenever there may be something to take, or the end; None: no more.

        For who has no task that waits for `output`: `reason` then says whether it is to end.
        """

    @property
    def reason(self) -> str | None:
        """Why the carrier is to end, once all is taken; None while it is not."""

    async def output(self) -> None:
        """Return when there may be something to take. Raises `CarrierError` when it is to end."""

    def lower_keepalive(self, seconds: float) -> None:
        """The path lets nothing stand idle for longer than this: have both ends ask in time."""

    @property
    def delay(self) -> float:
        """The round-trip time of the session in seconds, smoothed."""


class Carrier(abc.ABC):
    """The client's half of one carrier. Use one once: `open`, `run`, `abort`.

    `is_prompt`: what the other end sends comes at once, so that silence tells of the path. Where
    whole messages wait for one another, one of them may only be slow.
    """

    name: ClassVar[str]
    is_prompt: ClassVar[bool] = False

    @abc.abstractmethod
    async def open(self, message: bytes) -> bytes:
        """Bring an opening message to the server, and return the bytes of its answer.

        Raises `CarrierError`. Has a time-out of its own; cancelling it frees everything.
        """

    @abc.abstractmethod
    async def run(self, feed: Feed) -> None:
        """Move bytes both ways until the carrier ends. Raises `CarrierError` for every end.

        Cancelling it ends the carrier and frees everything.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Free everything at once; for one that is opened and not run. Never raises."""

    @property
    def life(self) -> float:
        """Seconds after which the path is known to cut this carrier; 0 where none is known."""
        return 0.0


RunCarrier: TypeAlias = Callable[[Feed], Awaitable[None]]
"""Moves bytes between a feed and one carrier until that ends, with `CarrierError`."""

Carry: TypeAlias = Callable[[RunCarrier], Awaitable[CarrierError]]
"""Runs a carrier's half on its session for as long as it lasts; returns why it ended."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a server says to an opening message that it understands.

    `answer` is its own opening message, to be sent first. `carry` runs the carrier's half for as
    long as it lasts; None where the answer is a refusal and nothing follows it.
    """

    answer: bytes
    carry: Carry | None = None


Door: TypeAlias = Callable[[bytes], Awaitable[Admission | None]]
"""Takes a whole opening message; None for a stranger's, who gets an ordinary web site's answer."""
