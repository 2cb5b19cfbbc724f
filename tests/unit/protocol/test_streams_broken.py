"""What neither an application nor the other end may do with streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.protocol.session_pair import START, Dialogue, Pair
from underpass.errors import Failure, LocalProtocolError
from underpass.protocol.frame_codec import (
    encode_data,
    encode_fin,
    encode_open,
    encode_opened,
    encode_refused,
    encode_reset,
    encode_window,
)
from underpass.protocol.session_events import SessionClosed
from underpass.protocol.stream_table import StreamLimits

WINDOW = StreamLimits().initial_window


# --- what the application may not do


@pytest.mark.parametrize(
    "call",
    [
        lambda streams: streams.send(1, b"x"),
        lambda streams: streams.finish(1),
        lambda streams: streams.read(1, 9, START),
    ],
)
def test_a_stream_that_was_not_accepted_can_not_be_used(call: Callable[[object], None]) -> None:
    pair = Pair()
    pair.client.streams.open("a", 1)
    pair.pump()
    with pytest.raises(LocalProtocolError):
        call(pair.server.streams)


@pytest.mark.parametrize("name", ["accept", "refuse", "send", "finish", "read"])
def test_a_stream_that_never_was_can_not_be_used(name: str) -> None:
    streams = Pair().client.streams
    calls: dict[str, Callable[[], object]] = {
        "accept": lambda: streams.accept(1),
        "refuse": lambda: streams.refuse(1, Failure.LOOP),
        "send": lambda: streams.send(1, b"x"),
        "finish": lambda: streams.finish(1),
        "read": lambda: streams.read(1, 9, START),
    }
    with pytest.raises(LocalProtocolError, match="never was"):
        calls[name]()
    assert not streams.is_clogged(1)


def test_a_stream_is_accepted_once_and_only_by_who_was_asked() -> None:
    pair = Pair()
    stream = pair.open()
    for end in (pair.client, pair.server):
        with pytest.raises(LocalProtocolError):
            end.streams.accept(stream)
        with pytest.raises(LocalProtocolError):
            end.streams.refuse(stream, Failure.LOOP)


def test_no_bytes_are_nothing_to_send() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, b"")
    assert pair.pump() == 0


# --- what the other end may not do


def the_end(*frames: bytes, is_client: bool = False) -> str:
    """Why a session, in which stream 1 stands, ends after these frames."""
    dialogue = Dialogue(is_client=is_client)
    if is_client:
        dialogue.session.streams.open("a", 1)
        dialogue.say(encode_opened(1, ""))
    else:
        dialogue.say(encode_open(1, 0, "a", 1))
        dialogue.session.streams.accept(1)
    *_, last = dialogue.say(*frames)
    assert isinstance(last, SessionClosed)
    assert last.code == 1
    return last.reason


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (encode_open(1, 0, "a", 1), "receive open on a stream that is open"),
        (encode_open(0, 0, "a", 1), "not its own"),
        (encode_open(2, 0, "a", 1), "not its own"),
        (encode_opened(1, ""), "never opened"),
        (encode_opened(2, ""), "never opened"),
        (encode_refused(1, Failure.LOOP, ""), "never opened"),
        (encode_data(2, 0, b"x"), "never opened"),
        (encode_data(0, 0, b"x"), "never opened"),
        (encode_fin(2, 0), "never opened"),
        (encode_fin(0, 0), "never opened"),
        (encode_reset(2, 0), "never opened"),
        (encode_window(2, 0), "never opened"),
        (encode_window(0, 0), "never opened"),
        (encode_data(1, WINDOW, b"x"), "beyond the credit"),
        (encode_data(1, 2**64 - 1, b"x"), "beyond the credit"),
        (encode_fin(1, WINDOW + 1), "beyond its credit"),
        (encode_fin(1, 2) + encode_data(1, 2, b"x"), "beyond the end"),
        (encode_data(1, 2, b"x") + encode_fin(1, 2), "before its data"),
        (encode_fin(1, 2) + encode_fin(1, 3), "receive fin on a stream that is fin received"),
    ],
)
def test_a_client_that_is_broken_ends_the_session(frame: bytes, reason: str) -> None:
    assert reason in the_end(frame)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (encode_open(1, 0, "a", 1), "not its own"),
        (encode_refused(1, Failure.LOOP, ""), "receive refused on a stream that is open"),
        (encode_opened(3, ""), "never opened"),
        (encode_refused(2, Failure.LOOP, ""), "never opened"),
        (encode_window(3, 5), "never opened"),
        (encode_data(3, 0, b"x"), "never opened"),
        (encode_data(0, 0, b"x"), "not its own"),
    ],
)
def test_a_server_that_is_broken_ends_the_session(frame: bytes, reason: str) -> None:
    assert reason in the_end(frame, is_client=True)
