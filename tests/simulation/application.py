"""What uses the streams of one end: opens, answers, writes, reads, resets, as planned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.app_stream import AppStream
from tests.simulation.plan import StreamPlan
from tests.simulation.world import SimulationError, World
from underpass.errors import Failure, LocalProtocolError
from underpass.protocol.session_events import (
    DatagramReceived,
    SessionEvent,
    StreamOffered,
    StreamOpened,
    StreamReadable,
    StreamRefused,
    StreamWasReset,
    StreamWritable,
)
from underpass.protocol.session_state import SessionState

if TYPE_CHECKING:
    from tests.simulation.end import End

# How long an application waits that was told that there are too many streams.
AGAIN_SECONDS = 0.5

OF_STREAMS = (
    StreamOpened,
    StreamRefused,
    StreamWasReset,
    StreamReadable,
    StreamWritable,
    DatagramReceived,
)


class Application:
    """See the module. `streams` are all there ever were, by id."""

    def __init__(self, end: End, plans: list[StreamPlan]) -> None:
        self.end = end
        self.world: World = end.world
        self.plans = plans
        self.streams: dict[int, AppStream] = {}
        self.other: Application
        # Plans of ours that will not be opened any more, as the session takes no more streams.
        self.dropped = 0
        self.unopened = 0
        self.is_leaving = False
        self._to_act: dict[int, AppStream] = {}

    def start(self) -> None:
        """Open the streams of this end, each in its time."""
        for plan in self.plans:
            if plan.opener == self.end.name:
                self.unopened += 1
                self.world.after(plan.opens_at, partial(self._when_awake, plan))

    @property
    def is_finished(self) -> bool:
        """Whether every stream has come to its end here."""
        return not self.unopened and all(stream.is_gone for stream in self.streams.values())

    def _when_awake(self, plan: StreamPlan) -> None:
        self.end.serve(lambda: self._open(plan))

    def _open(self, plan: StreamPlan) -> None:
        if self.end.session.state is SessionState.CLOSED:
            self._drop()
            return
        try:
            stream = self.end.session.streams.open(plan.host, plan.port, plan.kind)
        except LocalProtocolError as error:
            if error.failure is Failure.DRAINING:
                self._drop()
            elif error.failure is Failure.CONNECTION_LIMIT:
                self.world.after(AGAIN_SECONDS, lambda: self._when_awake(plan))
            else:
                raise
            return
        self.unopened -= 1
        self.world.note(f"{self.end.name} opens {stream}: plan {plan.index}")
        self._add(stream, plan)
        if plan.is_early:
            self.streams[stream].write()

    def _drop(self) -> None:
        self.unopened -= 1
        self.dropped += 1

    def _add(self, stream: int, plan: StreamPlan) -> None:
        if stream in self.streams:
            raise SimulationError(f"{self.end.name}: stream {stream} comes twice")
        self.streams[stream] = AppStream(self, stream, plan)

    # --- events

    def happened(self, event: SessionEvent) -> None:
        """Take note of what has happened; `act` does what follows."""
        if isinstance(event, StreamOffered):
            self._offered(event)
            return
        stream = self.streams.get(event.stream) if isinstance(event, OF_STREAMS) else None
        if stream is None:
            raise SimulationError(f"{self.end.name}: {event} of a stream that nobody knows")
        match event:
            case StreamOpened(_, bound):
                stream.opened(bound)
            case StreamRefused(_, failure, details):
                stream.refused(failure, details)
            case StreamWasReset(_, code):
                stream.was_reset(code)
            case DatagramReceived(_, data):
                stream.receive_datagram(data)
            case StreamReadable():
                stream.readable()
            case StreamWritable():
                stream.writable()
            case _:
                raise SimulationError(f"{self.end.name}: {event} is not of a stream")
        self._to_act[stream.id] = stream

    def _offered(self, event: StreamOffered) -> None:
        plan = self.plans[int(event.host.partition(".")[0])]
        if plan.opener == self.end.name or (plan.host, plan.port, plan.kind) != (
            event.host,
            event.port,
            event.kind,
        ):
            raise SimulationError(f"{self.end.name}: {event} is not what was asked for")
        self._add(event.stream, plan)
        stream = self.streams[event.stream]
        self.world.after(plan.answer_after, lambda: self.end.serve(stream.answer))

    def act(self) -> None:
        """Do what follows of the events: all of them are known now."""
        acting, self._to_act = self._to_act, {}
        for stream in acting.values():
            stream.act()

    def twin(self, stream: int) -> AppStream | None:
        """The other end's view of a stream."""
        return self.other.streams.get(stream)
