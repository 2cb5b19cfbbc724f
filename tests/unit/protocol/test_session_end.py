"""How sessions end: by going away, draining and closing; at once; and by a broken other end."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import ROOM, Dialogue, Pair, read_all
from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.attach import make_attach, parse_attach
from underpass.protocol.frame_codec import (
    encode_ack,
    encode_close,
    encode_goaway,
    encode_open,
    encode_ping,
)
from underpass.protocol.frames import Ack, Close, CloseCode, GoAway, Refused
from underpass.protocol.session import Session
from underpass.protocol.session_events import (
    SessionClosed,
    SessionDetached,
    StreamRefused,
    StreamWasReset,
    WentAway,
)
from underpass.protocol.session_state import SessionState
from underpass.protocol.session_times import CLOSING_SECONDS


def closed(session: Session) -> int:
    """The code with which a session has closed, as its last event of all."""
    assert session.state is SessionState.CLOSED
    last = session.events()[-1]
    assert isinstance(last, SessionClosed)
    assert session.next_timer() is None
    return last.code


# --- going away


def test_after_going_away_no_streams_are_opened_and_those_there_are_go_on() -> None:
    pair = Pair()
    stream = pair.open()
    pair.server.go_away(CloseCode.SHUTDOWN, "later")
    pair.server.go_away(CloseCode.SHUTDOWN, "again")
    late = pair.client.streams.open("late", 1)
    pair.pump()
    assert pair.client.events() == [
        StreamRefused(late, Failure.DRAINING, "the other end is going away"),
        WentAway(stream, CloseCode.SHUTDOWN, "later"),
    ]
    assert pair.server.events() == []
    for end in (pair.client, pair.server):
        with pytest.raises(LocalProtocolError) as caught:
            end.streams.open("a", 1)
        assert caught.value.failure is Failure.DRAINING
    pair.client.streams.send(stream, b"on and on")
    pair.pump()
    assert read_all(pair.server, stream) == b"on and on"


def test_an_open_that_crosses_a_goaway_is_refused() -> None:
    dialogue = Dialogue()
    dialogue.session.go_away(CloseCode.DONE, "")
    dialogue.say(encode_open(1, 0, "a", 1))
    assert dialogue.heard()[-2:] == [GoAway(0, 0, ""), Refused(1, Failure.DRAINING, "")]


def test_an_end_goes_away_once() -> None:
    dialogue = Dialogue(is_client=True)
    assert dialogue.say(encode_goaway(0, 4, "bye"))[-1] == WentAway(0, 4, "bye")
    (*_, last) = dialogue.say(encode_goaway(0, 4, "bye"))
    assert isinstance(last, SessionClosed)
    assert last.code == CloseCode.PROTOCOL


# --- closing


def test_it_closes_when_all_has_been_delivered() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, b"last words")
    pair.client.streams.finish(stream)
    pair.client.close()
    pair.wait(1)
    assert pair.client.state is SessionState.DRAINING
    assert read_all(pair.server, stream, pair.now) == b"last words"
    pair.server.streams.finish(stream)
    pair.pump()
    assert read_all(pair.client, stream, pair.now) == b""
    pair.wait(1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE
    assert pair.client.data_to_send(0, 1 << 16, pair.now) == []


def test_it_closes_at_once_when_nothing_is_left() -> None:
    pair = Pair()
    pair.client.close()
    pair.client.close()
    pair.wait(0.1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_an_ack_that_nobody_acknowledges_does_not_hold_up_the_end() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.finish(stream)
    pair.client.close()
    pair.wait(1)
    read_all(pair.server, stream, pair.now)
    pair.server.streams.finish(stream)
    pair.carry(pair.server)
    pair.wait(0.03)
    assert read_all(pair.client, stream, pair.now) == b""
    pair.wait(0.1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_close_does_not_overtake_the_last_words() -> None:
    pair = Pair()
    stream, other = pair.open(), pair.attach()
    pair.server.streams.finish(stream)
    pair.pump()
    assert read_all(pair.client, stream) == b""
    pair.client.streams.send(stream, b"last words")
    pair.client.streams.finish(stream)
    (late,) = pair.client.data_to_send(0, ROOM, pair.now)
    pair.client.close()
    for _ in range(3):
        pair.carry(pair.client, other)
        assert pair.client.state is SessionState.DRAINING
    pair.server.receive_data(0, late, pair.now)
    assert read_all(pair.server, stream) == b"last words"
    pair.wait(1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_an_older_ack_does_not_answer_a_close_that_had_no_room_yet() -> None:
    dialogue = Dialogue(is_client=True)
    dialogue.session.close()
    assert dialogue.heard() == [GoAway(0, 0, "")]
    dialogue.say(encode_ack(Ack(0, 1, ())))
    assert dialogue.session.data_to_send(0, 64, dialogue.now) == []
    assert dialogue.session.state is SessionState.CLOSING
    dialogue.say(encode_ack(Ack(0, 1, ())))
    assert dialogue.session.state is SessionState.CLOSING
    assert Close(0, "") in dialogue.heard()
    last = dialogue.say(encode_ack(Ack(0, 2, ())))
    assert last == [SessionClosed(CloseCode.DONE, "closed by this end")]


def test_both_ends_may_close_at_once() -> None:
    pair = Pair()
    pair.client.close()
    pair.server.close()
    pair.wait(1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_it_waits_for_the_other_end_to_read() -> None:
    pair = Pair()
    stream = pair.open()
    pair.client.streams.send(stream, bytes(100_000))
    pair.client.close()
    pair.wait(5)
    assert pair.client.state is SessionState.DRAINING
    assert len(pair.client.streams) == 1


def test_it_waits_for_a_carrier_to_say_goodbye() -> None:
    pair = Pair()
    pair.drop(0)
    pair.client.close()
    pair.client.close()
    assert pair.client.state is SessionState.DRAINING_DETACHED
    pair.wait(10)
    pair.attach()
    pair.wait(1)
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_a_session_that_drains_may_be_detached_and_end_there() -> None:
    pair = Pair(grace=20)
    stream = pair.open()
    pair.client.close()
    pair.pump()
    pair.drop(0)
    assert pair.client.events()[-1] == SessionDetached()
    pair.wait(20)
    assert closed(pair.client) == closed(pair.server) == CloseCode.EXPIRED
    assert stream == 1


def close_without_an_answer() -> Pair:
    """A client that has said CLOSE to a server that does not hear it."""
    pair = Pair()
    pair.client.close()
    pair.carry(pair.client)
    pair.now += 0.03
    pair.carry(pair.server)
    assert len(pair.client.data_to_send(0, 1 << 16, pair.now)) == 1
    assert pair.client.state is SessionState.CLOSING
    return pair


def test_a_close_that_nobody_acknowledges_is_waited_for_a_while() -> None:
    pair = close_without_an_answer()
    pair.client.close()
    pair.client.handle_timer(pair.now + CLOSING_SECONDS - 0.1)
    assert pair.client.state is SessionState.CLOSING
    pair.client.handle_timer(pair.now + CLOSING_SECONDS)
    assert closed(pair.client) == CloseCode.DONE


def test_a_close_goes_again_on_another_carrier() -> None:
    pair = close_without_an_answer()
    pair.drop(0)
    assert pair.client.state is SessionState.CLOSING
    pair.attach()
    pair.pump()
    assert closed(pair.client) == closed(pair.server) == CloseCode.DONE


def test_a_close_is_answered_by_its_ack_alone() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(1, 0, "a", 1))
    dialogue.session.streams.accept(1)
    events = dialogue.say(encode_close(3, "removed"), encode_ping(1, 0))
    assert events == [StreamWasReset(1, 3), SessionClosed(3, "removed")]
    assert dialogue.heard() == [Ack(0, 2, ())]
    assert dialogue.heard() == []


# --- the end at once


def test_an_abort_resets_the_streams_and_tells_the_other_end() -> None:
    pair = Pair()
    stream = pair.open()
    pair.server.abort(CloseCode.USER_REMOVED, "removed")
    pair.server.abort(CloseCode.INTERNAL, "again")
    removed = SessionClosed(CloseCode.USER_REMOVED, "removed")
    assert pair.server.events() == [StreamWasReset(stream, 3), removed]
    pair.pump()
    assert pair.client.events() == [StreamWasReset(stream, 3), removed]
    pair.pump()
    assert pair.server.events() == pair.client.events() == []


def test_a_stream_that_was_never_offered_ends_without_a_word() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_ping(0, 0), b"\x04\0\0\0\x01" + bytes(8) + b"\0\x01x")
    dialogue.session.abort(CloseCode.DONE, "")
    assert dialogue.session.events() == [SessionClosed(0, "")]


def test_an_end_that_is_broken_is_told_so() -> None:
    dialogue = Dialogue()
    (*_, last) = dialogue.say(b"\xff")
    assert last == SessionClosed(CloseCode.PROTOCOL, "unknown frame type 255")
    assert dialogue.heard() == [Close(1, "unknown frame type 255")]


def test_what_follows_in_a_record_that_ended_the_session_does_not_count() -> None:
    dialogue = Dialogue()
    dialogue.say(encode_open(2, 0, "a", 1), encode_open(1, 0, "a", 1))
    assert dialogue.say(encode_ping(1, 0)) == []
    assert len(dialogue.session.streams) == 0


def test_a_session_that_is_closed_does_nothing_more() -> None:
    pair = Pair()
    pair.client.abort(CloseCode.DONE, "")
    pair.client.events()
    pair.client.receive_data(0, bytes(100), pair.now)
    pair.client.handle_timer(pair.now + 1000)
    pair.client.go_away(CloseCode.DONE, "")
    pair.client.remove_carrier(0, pair.now)
    assert pair.client.events() == []
    with pytest.raises(LocalProtocolError, match="closed"):
        pair.client.attach(bytes(16), pair.now)
    pair.server.abort(CloseCode.DONE, "")
    message = make_attach(b"\x03" * 32, pair.server.terms.session_id, 5, bytes(16), 0)
    with pytest.raises(RemoteProtocolError, match="closed"):
        pair.server.accept_attach(parse_attach(message[3:]), pair.now)
