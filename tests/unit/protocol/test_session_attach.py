"""Carriers that join a session, what they make of those before, and a session that has none."""

from __future__ import annotations

import pytest

from tests.unit.protocol.session_pair import ROOM, SESSION_ID, Pair, body_of, lost, read_all
from underpass.errors import RemoteProtocolError
from underpass.protocol.attach import make_attach, make_attached, parse_attach
from underpass.protocol.frames import CloseCode
from underpass.protocol.replay import MAX_RECORDS
from underpass.protocol.session_carrier import PROBE_SECONDS
from underpass.protocol.session_events import (
    CarrierStands,
    SessionClosed,
    SessionDetached,
    StreamOffered,
    StreamReadable,
    StreamWasReset,
)
from underpass.protocol.session_state import SessionState
from underpass.protocol.stream_table import StreamLimits

NONCE = bytes(16)


# --- attach


def test_another_carrier_joins_and_stands_once_something_came() -> None:
    pair = Pair()
    stream, number = pair.open(), pair.attach()
    assert pair.client.events() == [CarrierStands(number)]
    pair.client.streams.send(stream, b"over the second")
    pair.carry(pair.client, number)
    assert pair.server.events() == [CarrierStands(number), StreamReadable(stream)]


def test_records_may_follow_an_attach_at_once() -> None:
    pair = Pair()
    stream = pair.open()
    pair.drop(0)
    pair.client.streams.send(stream, b"early")
    number, message = pair.client.attach(NONCE, pair.now)
    records = pair.client.data_to_send(number, 1 << 16, pair.now)
    assert len(records) == 1
    pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    pair.server.receive_data(number, bytes(records[0]), pair.now)
    assert read_all(pair.server, stream) == b"early"


def test_an_attach_acknowledges_both_ways() -> None:
    pair = Pair()
    stream = pair.open()
    pair.wait(1)
    for end in (pair.client, pair.server):
        end.streams.send(stream, b"x")
        pair.carry(end)
    pair.drop(0)
    pair.attach()
    assert "0 records out" in repr(pair.client)
    assert "0 records out" in repr(pair.server)


def refused(pair: Pair, message: bytes) -> bool:
    """Whether the server refuses an attach, and is as before."""
    before = repr(pair.server), pair.server.carriers
    with pytest.raises(RemoteProtocolError):
        pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    return (repr(pair.server), pair.server.carriers) == before


def test_an_attach_counts_once() -> None:
    pair = Pair()
    number, message = pair.client.attach(NONCE, pair.now)
    pair.server.accept_attach(parse_attach(body_of(message)), pair.now)
    assert refused(pair, message)
    pair.drop(number)
    assert refused(pair, message)


@pytest.mark.parametrize("next_seq", [2, 2**63, 2**64 - 1])
def test_an_attach_that_acknowledges_what_was_never_sent_is_refused(next_seq: int) -> None:
    pair = Pair()
    pair.server.streams.open("a", 1)
    pair.carry(pair.server)
    assert refused(pair, make_attach(b"\x03" * 32, SESSION_ID, 1, NONCE, next_seq))


def test_the_id_alone_opens_nothing() -> None:
    pair = Pair()
    assert refused(pair, make_attach(bytes(32), SESSION_ID, 1, NONCE, 0))


def test_a_client_believes_only_its_own_server() -> None:
    pair = Pair()
    number, _ = pair.client.attach(NONCE, pair.now)
    key = b"\x03" * 32
    for wrong in (
        make_attached(bytes(32), number, 0, NONCE),
        make_attached(key, number + 1, 0, NONCE),
        make_attached(key, number, 0, b"\x01" * 16),
        make_attached(key, number, 99, NONCE),
    ):
        with pytest.raises(RemoteProtocolError):
            pair.client.receive_attached(number, body_of(wrong), pair.now)
    assert pair.client.events() == []
    right = body_of(make_attached(key, number, 0, NONCE))
    pair.client.receive_attached(number, right, pair.now)
    assert pair.client.events() == [CarrierStands(number)]
    pair.client.remove_carrier(number, pair.now)
    pair.client.receive_attached(number, right, pair.now)


def test_a_seventeenth_carrier_takes_the_place_of_the_most_silent() -> None:
    pair = Pair()
    for n in range(15):
        pair.now += 0.1
        assert pair.attach() == n + 1
    pair.now += 0.1
    pair.attach()
    assert lost(pair.client.events()) == lost(pair.server.events()) == [0]
    assert len(pair.client.carriers) == len(pair.server.carriers) == 16


# --- detached


def test_without_carriers_it_waits_for_the_grace_time() -> None:
    pair = Pair(grace=60)
    stream = pair.open()
    pair.drop(0)
    assert pair.client.events() == pair.server.events() == [SessionDetached()]
    assert pair.client.next_timer() == pair.now + 60
    pair.client.streams.send(stream, b"kept")
    pair.wait(59)
    pair.attach()
    pair.pump()
    assert read_all(pair.server, stream) == b"kept"
    assert pair.client.state is pair.server.state is SessionState.OPEN
    pair.wait(100)
    assert pair.client.state is SessionState.OPEN


def test_after_the_grace_time_it_ends_and_its_streams_are_reset() -> None:
    pair = Pair(grace=60)
    stream = pair.open()
    pair.drop(0)
    pair.wait(60)
    for end in (pair.client, pair.server):
        assert end.state is SessionState.CLOSED
        *_, reset, closed = end.events()
        assert reset == StreamWasReset(stream, 3)
        assert isinstance(closed, SessionClosed)
        assert closed.code == CloseCode.EXPIRED
        assert end.next_timer() is None
        assert end.data_to_send(0, 1 << 16, pair.now) == []


def test_an_attach_that_nobody_answers_prolongs_no_grace_time() -> None:
    pair = Pair(grace=60)
    pair.drop(0)
    end = pair.now + 60
    for _ in range(3):
        pair.now += 15
        number, _ = pair.client.attach(NONCE, pair.now)
        pair.client.remove_carrier(number, pair.now)
        assert pair.client.next_timer() == end
    pair.client.handle_timer(end)
    assert pair.client.state is SessionState.CLOSED


def test_a_carrier_that_is_removed_twice_is_gone_once() -> None:
    pair = Pair()
    pair.client.remove_carrier(0, pair.now)
    pair.client.remove_carrier(0, pair.now)
    assert pair.client.events() == [SessionDetached()]


def test_two_full_logs_do_not_wait_for_each_other() -> None:
    pair = Pair(StreamLimits(streams=MAX_RECORDS + 1))
    held: dict[bool, list[bytes]] = {True: [], False: []}
    for end in (pair.client, pair.server):
        for _ in range(MAX_RECORDS):
            end.streams.open("example.com", 443)
            held[end is pair.client] += end.data_to_send(0, ROOM, pair.now)
    assert [len(records) for records in held.values()] == [MAX_RECORDS, MAX_RECORDS]
    # Neither has room for anything, and only the other's acknowledgement can give it some.
    for end in (pair.client, pair.server):
        for record in held[end is pair.client]:
            pair.other(end).receive_data(0, record, pair.now)
    pair.wait(1.0)
    stream = pair.client.streams.open("example.com", 443)
    pair.pump()
    offers = [event for event in pair.server.events() if isinstance(event, StreamOffered)]
    assert (len(offers), offers[-1].stream) == (MAX_RECORDS + 1, stream)


# --- what an attach tells of other carriers


def test_an_attach_lets_what_is_out_on_others_go_again_at_once() -> None:
    pair = Pair()
    stream = pair.open()
    # Over a carrier of which only the client knows that it has died.
    pair.server.streams.send(stream, b"on its way")
    assert pair.server.data_to_send(0, ROOM, pair.now)
    pair.client.remove_carrier(0, pair.now)
    number = pair.attach()
    pair.carry(pair.server, number)
    assert read_all(pair.client, stream) == b"on its way"
    # It has been asked whether it lives, and does not answer.
    pair.wait(PROBE_SECONDS + 0.1)
    assert pair.server.carriers == (number,)


def test_an_attach_costs_a_living_carrier_nothing() -> None:
    pair = Pair()
    stream = pair.open()
    pair.wait(1.0)
    number = pair.attach()
    pair.wait(PROBE_SECONDS + 0.1)
    assert pair.server.carriers == pair.client.carriers == (0, number)
    pair.server.streams.send(stream, b"still")
    pair.pump()
    assert read_all(pair.client, stream) == b"still"
