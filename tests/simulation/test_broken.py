"""Sessions broken on purpose: a simulation that takes them for good would prove nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.simulation import simulate
from underpass.protocol import session
from underpass.protocol.frames import Ack, Reset
from underpass.protocol.mux_stream import MuxStream
from underpass.protocol.record import Sealer
from underpass.protocol.replay import ReceiveLog, SendLog
from underpass.protocol.session_carrier import SessionCarrier, SessionCarriers, Verdict
from underpass.protocol.stream_state import StreamInput
from underpass.protocol.streams import STREAM_FRAMES, Streams
from underpass.protocol.window import ReceiveWindow

# A defect that so many seeds do not meet is as good as not looked for.
SEEDS = 60


def _nothing(*_: Any) -> None:
    """Leave out what should be done."""


def _changed(all_streams: Streams, stream: int, limit: int, now: float) -> Any:
    """A read of which one byte is another now and then."""
    data = _read(all_streams, stream, limit, now)
    return bytes(data[:-1]) + b"\0" if data else data


_read = Streams.read


def _any_end(stream: MuxStream, offset: int) -> None:
    """Take fin for the end whatever is still missing before it."""
    stream.fin_at = stream.received.end


def _is_fin(all_streams: Streams, frame: Any) -> None:
    """Take a reset for an end in order."""
    stream = all_streams._table.find(frame.stream)
    if stream is not None:
        stream.happened(StreamInput.RECEIVE_FIN)
        stream.finish_received(stream.received.end)
        all_streams._tell_readable(stream)


def _too_much(log: ReceiveLog, now: float, room: int) -> Ack:
    """Acknowledge one record more than have come."""
    return Ack(0, log.next_seq + 1, ())


def _everything(log: SendLog, seq: int) -> bool:
    """Wait for the acknowledgement of what nobody has to acknowledge."""
    return not len(log) and not log.skips.firsts


def _same_number(sealer: Sealer, frames: bytes) -> bytes:
    """Use the number of the first record for every one."""
    sealer.next_seq = 0
    return _seal(sealer, frames)


_seal = Sealer.seal

BROKEN: list[tuple[str, Any, str, Any]] = [
    ("takes records twice", ReceiveLog, "is_new", lambda log, seq: True),
    ("sends nothing again", SendLog, "_lose", _nothing),
    ("acknowledges what may come", ReceiveLog, "acknowledge", _too_much),
    ("takes a carrier for alive for ever", SessionCarrier, "check", lambda *_: Verdict.FINE),
    ("takes forged attaches", session, "verify_attach", lambda *_: True),
    ("takes an attach again", SessionCarriers, "was_used", lambda *_: False),
    ("closes only when all is quiet", SendLog, "has_arrived", _everything),
    ("gives no credit back", ReceiveWindow, "release", _nothing),
    ("gives no further credit", ReceiveWindow, "consume", lambda *_: False),
    ("changes bytes", Streams, "read", _changed),
    ("ends a stream early", MuxStream, "finish_received", _any_end),
    ("seals a number twice", Sealer, "seal", _same_number),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "name", "defect"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_a_broken_session_is_caught(
    monkeypatch: pytest.MonkeyPatch, target: Any, name: str, defect: Any
) -> None:
    monkeypatch.setattr(target, name, defect)
    assert any(simulate(seed).failure for seed in range(SEEDS))


@pytest.mark.slow
def test_a_reset_taken_for_an_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STREAM_FRAMES, Reset, _is_fin)
    assert any(simulate(seed).failure for seed in range(SEEDS))
