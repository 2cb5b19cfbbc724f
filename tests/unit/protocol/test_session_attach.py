"""A client that attaches has most often lost another carrier, which the server may not see."""

from __future__ import annotations

from tests.unit.protocol.session_pair import ROOM, Pair, read_all
from underpass.protocol.session_carrier import PROBE_SECONDS


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
