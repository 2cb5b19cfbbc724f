"""One end's use of one stream, and what it may expect of it: every byte is checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.pattern import pattern
from tests.simulation.plan import OTHER, StreamPlan
from tests.simulation.world import SimulationError
from underpass.errors import Failure
from underpass.protocol.frames import Kind, ResetCode

if TYPE_CHECKING:
    from tests.simulation.application import Application

# Writes and reads at one moment: after so many the others have their turn.
BURST = 8
_DATAGRAM_HEAD = 4


class AppStream:
    """See the module. An end has one for every stream that it opened or was offered."""

    def __init__(self, application: Application, stream: int, plan: StreamPlan) -> None:
        self.id = stream
        self.plan = plan
        self._app = application
        self._end = application.end
        self._mine = plan.sides[self._end.name]
        self._is_ours = plan.opener == self._end.name
        self.stands = False
        self.sent = 0
        self.received = 0
        self.sent_fin = False
        self.end_read = False
        # How it ended, where it did not end in order.
        self.own_reset: ResetCode | None = None
        self.their_reset: int | None = None
        self.refusal: tuple[Failure, str] | None = None
        self._datagrams_seen: set[int] = set()
        self._may_write = True
        self._may_read = False
        self._has_stalled = False
        self._is_writing = False
        self._is_reading = False

    def __repr__(self) -> str:
        twin = self._app.twin(self.id)
        return (
            f"<stream {self.id} plan {self.plan.index} at the {self._end.name}:"
            f" {self.sent}/{self._mine.total} sent{', fin' if self.sent_fin else ''},"
            f" {self.received}/{twin.sent if twin else '?'} read{', end' if self.end_read else ''},"
            f" {'over' if self.is_gone else 'stands' if self.stands else 'asked'}>"
        )

    @property
    def is_gone(self) -> bool:
        """Whether the session has nothing of it any more."""
        return self.is_broken or (self.sent_fin and self.end_read)

    @property
    def is_broken(self) -> bool:
        """Whether it did not end in order."""
        return (
            self.own_reset is not None or self.their_reset is not None or self.refusal is not None
        )

    def _fail(self, text: str) -> None:
        raise SimulationError(f"{text}: {self!r}, there {self._app.twin(self.id)!r}")

    # --- opening

    def answer(self) -> None:
        """The end that was asked answers."""
        if self.is_gone or self._end.closed is not None:
            return
        if self.plan.failure is not None:
            self._end.session.streams.refuse(self.id, self.plan.failure, self.plan.details)
            self.refusal = (self.plan.failure, self.plan.details)
            return
        self._end.session.streams.accept(self.id, self.plan.bound)
        self.stands = True
        self.write()

    def opened(self, bound: str) -> None:
        """The other end has answered."""
        if self.stands or not self._is_ours or self.is_broken:
            self._fail("opened, and it is not being opened")
        if bound not in ("", self.plan.bound):
            self._fail(f"stands at {bound}, not {self.plan.bound}")
        twin = self._app.twin(self.id)
        if twin is None or not twin.stands:
            self._fail("opened, and nobody accepted it")
        self.stands = True

    def refused(self, failure: Failure, details: str) -> None:
        """The other end, or the session, has refused."""
        if self.stands or not self._is_ours or self.is_broken:
            self._fail("refused, and it is not being opened")
        self.refusal = (failure, details)
        twin = self._app.twin(self.id)
        if twin is not None and self.refusal == twin.refusal:
            return
        if failure is Failure.DRAINING and (self._app.is_leaving or self._app.other.is_leaving):
            return
        if twin is None and failure is Failure.CONNECTION_LIMIT:
            return
        self._fail(f"refused with {failure} {details!r}")

    def was_reset(self, code: int) -> None:
        """The other end has reset it, or the session is lost."""
        if self.is_broken:
            self._fail("reset, and it is over")
        self.their_reset = code
        twin = self._app.twin(self.id)
        if code == ResetCode.SESSION_LOST and not self._end.session_lives:
            return
        if twin is None or twin.own_reset != code:
            self._fail(f"reset with {code}, and nobody did that")

    # --- what follows

    def readable(self) -> None:
        """There is something to read."""
        self._may_read = True

    def writable(self) -> None:
        """It is not clogged any more."""
        self._may_write = True

    def act(self) -> None:
        """Go on, now that all events are known."""
        if self._may_read:
            self.read()
        if self._may_write:
            self.write()

    def write(self) -> None:
        """Write what is due, and come back for more."""
        if self.is_gone or self.sent_fin or self._is_writing or self._end.closed is not None:
            return
        if not self.stands and not (self._is_ours and self.plan.is_early):
            return
        streams = self._end.session.streams
        for _ in range(BURST):
            if self.sent >= self._mine.total:
                streams.finish(self.id)
                self.sent_fin = True
                self._end.world.note(f"{self._end.name} finishes {self.id} at {self.sent}")
                return
            if self._mine.heeds_clogging and streams.is_clogged(self.id):
                self._may_write = False
                return
            self._write_one()
            if self._mine.reset_at is not None and self.sent >= self._mine.reset_at:
                self.reset()
                return
            if self._mine.write_pause:
                break
        self._is_writing = True
        self._end.world.after(self._mine.write_pause, lambda: self._end.serve(self._write_on))

    def _write_on(self) -> None:
        self._is_writing = False
        if self._may_write:
            self.write()

    def _write_one(self) -> None:
        streams = self._end.session.streams
        size = min(self._mine.chunk, self._mine.total - self.sent)
        data = pattern(self.id, self._end.name, self.sent, size)
        if self.plan.kind is Kind.DATAGRAMS:
            head = self.sent.to_bytes(_DATAGRAM_HEAD, "big")
            streams.send_datagram(self.id, (head + data)[:65_000], self._end.now)
        else:
            streams.send(self.id, data)
        self.sent += len(data)

    def reset(self) -> None:
        """End both directions at once."""
        self.own_reset = self._mine.reset_code
        self._end.world.note(f"{self._end.name} resets {self.id}")
        self._end.session.streams.reset(self.id, self.own_reset)

    def read(self) -> None:
        """Read what there is, as fast as this reader does."""
        if self._is_reading or self.is_gone or self.end_read or self._end.closed is not None:
            return
        mine = self._mine
        if not self._has_stalled and self.received >= mine.stall_at and mine.stall_for:
            self._has_stalled = True
            self._read_later(mine.stall_for)
            return
        for _ in range(BURST):
            data = self._end.session.streams.read(self.id, mine.read_limit, self._end.now)
            if data is None:
                self._may_read = False
                return
            if not data:
                self._read_end()
                return
            self._take_in(bytes(data))
            if mine.read_pause:
                break
        self._read_later(mine.read_pause)

    def _read_later(self, delay: float) -> None:
        self._is_reading = True
        self._end.world.after(delay, lambda: self._end.serve(self._read_on))

    def _read_on(self) -> None:
        self._is_reading = False
        self.read()

    # --- what must hold

    def _take_in(self, data: bytes) -> None:
        if len(data) > self._mine.read_limit:
            self._fail(f"{len(data)} bytes were read")
        twin = self._app.twin(self.id)
        if twin is None or self.received + len(data) > twin.sent:
            self._fail(f"{len(data)} bytes come that were never sent")
        at = 0
        while at < len(data):
            sender = OTHER[self._end.name]
            want = pattern(self.id, sender, self.received + at, len(data) - at)
            if data[at : at + len(want)] != want:
                self._fail("other bytes come than were sent")
            at += len(want)
        self.received += len(data)

    def _read_end(self) -> None:
        twin = self._app.twin(self.id)
        whole = 0 if twin is None or self.plan.kind is Kind.DATAGRAMS else twin.sent
        if twin is None or not twin.sent_fin or self.received != whole:
            self._fail("the end comes too early")
        self.end_read = True
        self._may_read = False

    def check_end(self) -> None:
        """What nobody reset or refused has arrived whole."""
        twin = self._app.twin(self.id)
        if self.is_broken or (twin is not None and twin.is_broken):
            return
        if twin is None or not self.end_read or not self.sent_fin:
            self._fail("not at its end")

    def receive_datagram(self, data: bytes) -> None:
        """One has come: whole, and once."""
        at = int.from_bytes(data[:_DATAGRAM_HEAD], "big")
        want = pattern(self.id, OTHER[self._end.name], at, len(data) - _DATAGRAM_HEAD)
        if self.plan.kind is not Kind.DATAGRAMS or data[_DATAGRAM_HEAD:] != want:
            self._fail("a datagram comes that was never sent")
        if at in self._datagrams_seen:
            self._fail("a datagram comes twice")
        self._datagrams_seen.add(at)
