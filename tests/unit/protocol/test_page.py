"""docs/protocol.md, held against the code: the tables of states, and every limit."""

from __future__ import annotations

import re

import pytest
from scripts.protocol_docs import PAGE, parts, written

from underpass.protocol import (
    datagram,
    frames,
    opening,
    record,
    replay,
    session_carrier,
    session_state,
    session_times,
    stream_state,
    stream_table,
    window,
)
from underpass.protocol.reassembly import MAX_SEGMENTS, MAX_SESSION_SEGMENTS
from underpass.protocol.session_terms import SessionTerms

TEXT = PAGE.read_text(encoding="utf-8")
KIB, MIB = 1024, 1024 * 1024


def test_the_states_are_those_of_the_tables() -> None:
    assert written(TEXT) == TEXT, "make protocol-docs"


def test_every_transition_is_on_the_page() -> None:
    for name, table in (
        ("states", stream_state.TRANSITIONS),
        ("session states", session_state.TRANSITIONS),
    ):
        rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", parts()[name], re.MULTILINE)
        said = set[tuple[str, str, str]]()
        for state, moves, stays in rows[1:]:
            said |= {(state, one, state) for one in stays.split(", ") if one != "–"}
            for inputs, after in re.findall(r"([^;]+?) → \*\*([^*]+)\*\*(?:; )?", moves):
                said |= {(state, one, after) for one in inputs.split(", ")}
        assert said == {(a.value, b.value, c.value) for (a, b), c in table.items()}


def test_a_page_without_markers_is_told() -> None:
    with pytest.raises(SystemExit, match="no markers"):
        written(TEXT.replace("<!-- /states -->", ""))


TERMS = SessionTerms(b"")
LIMITS: dict[str, list[float]] = {
    "opening message": [opening.MAX_BODY_BYTES],
    "record": [frames.MAX_FRAMES_BYTES],
    "records, numbers, bytes unacknowledged": [
        replay.MAX_RECORDS,
        replay.MAX_NUMBERS,
        replay.MAX_BYTES / MIB,
    ],
    "numbers ahead of `next`": [replay.MAX_AHEAD],
    "ranges in an ACK": [frames.MAX_ACK_RANGES],
    "streams": [TERMS.own.streams],
    "ids of streams left out": [stream_table.MAX_ID_GAPS],
    "initial window; pool": [TERMS.own.initial_window / KIB, TERMS.pool / MIB],
    "segments out of order in a stream; in a session": [MAX_SEGMENTS, MAX_SESSION_SEGMENTS],
    "carriers of a session": [session_carrier.MAX_CARRIERS],
    "datagram": [
        frames.MAX_DATAGRAM_BYTES,
        datagram.MAX_QUEUED,
        datagram.MAX_AGE_SECONDS * 1000,
    ],
}


def test_the_limits_are_those_of_the_code() -> None:
    section = TEXT.partition("## 11. Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    said = {
        name: [float(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", value)]
        for name, value in rows[1:]
    }
    assert said == LIMITS


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("length = 8 + len(sealed), 25 to 65,560", (record.MIN_LENGTH, record.MAX_LENGTH)),
        ("`next + 32,768` or more", replay.MAX_AHEAD),
        ("The epoch of a record is `seq >> 20`", record.EPOCH_BITS),
        ("`seq` never reaches 2⁶³", (record.MAX_SEQ + 1).bit_length() - 1),
        ("1 to 65,521 of them", frames.MAX_DATA_BYTES),
        ("within 25 ms, or when 128 records or 1 MiB", replay.ACK_RECORDS),
        ("After 64 records that elicit nothing", replay.MAX_SILENT),
        ("become at least 256 KiB", window.TUNED_WINDOW // KIB),
        ("double, up to 16 MiB", window.MAX_WINDOW // MIB),
        ("within two round trips", window.FAST_ROUND_TRIPS),
        ("at least 1 s)", session_carrier.MIN_KEEPALIVE_SECONDS),
        ("more than 10 s ahead", session_times.SLEPT_SECONDS),
        ("gives each 3 s to answer", session_carrier.PROBE_SECONDS),
        ("it attaches 15 s to bring", session_carrier.ATTACH_SECONDS),
    ],
)
def test_a_number_in_the_text_is_that_of_the_code(words: str, value: object) -> None:
    assert words in TEXT.replace("\n", " ")
    numbers = {float(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", words)}
    spelt = {"two": 2.0, "2⁶³": 63.0}
    numbers |= {number for word, number in spelt.items() if word in words}
    wanted = value if isinstance(value, tuple) else (value,)
    assert {float(one) for one in wanted} <= numbers
