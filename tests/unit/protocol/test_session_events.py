"""The events of a session are plain values: named, compared by what they say, and complete."""

from __future__ import annotations

import typing

import pytest

from underpass.errors import Failure
from underpass.protocol import session_events
from underpass.protocol.frames import GoAway, Refused
from underpass.protocol.session_events import SessionEvent, StreamRefused, WentAway

EVENTS = typing.get_args(SessionEvent)


def test_every_event_is_one_of_the_union() -> None:
    named = {
        value
        for value in vars(session_events).values()
        if isinstance(value, type) and value.__module__ == session_events.__name__
    }
    assert set(EVENTS) == named


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_prints_with_its_name(event: type[tuple[int, ...]]) -> None:
    fields = event._fields  # type: ignore[attr-defined]  # a named tuple
    assert repr(event(*fields)) == f"{event.__name__}({', '.join(f'{f}={f!r}' for f in fields)})"


def test_events_that_pass_a_frame_on_have_its_fields() -> None:
    assert StreamRefused(*Refused(1, Failure.LOOP, "why")) == StreamRefused(1, Failure.LOOP, "why")
    assert WentAway._fields == GoAway._fields
    assert StreamRefused._fields == Refused._fields
