"""What the numbers on the wire mean: docs/protocol.md section 6 word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from underpass.errors import Failure
from underpass.protocol.frames import (
    MAX_ACK_RANGES,
    MAX_DATA_BYTES,
    MAX_DATAGRAM_BYTES,
    MAX_DETAILS_BYTES,
    MAX_FRAMES_BYTES,
    REFUSAL_CODES,
    REFUSALS,
    CloseCode,
    Kind,
    ResetCode,
    Type,
)

PAGE = (Path(__file__).parents[3] / "docs/protocol.md").read_text(encoding="utf-8")


def test_the_page_has_the_types() -> None:
    rows = re.findall(r"^\| 0x(\w\w) \| (\w+) \|", PAGE, re.MULTILINE)
    assert [(int(number, 16), name) for number, name in rows] == [(t.value, t.name) for t in Type]


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (1, Failure.INTERNAL),
        (2, Failure.BAD_TARGET),
        (3, Failure.FORBIDDEN),
        (4, Failure.IP_PROHIBITED),
        (5, Failure.DNS_ERROR),
        (6, Failure.DNS_TIMEOUT),
        (7, Failure.CONNECTION_REFUSED),
        (8, Failure.CONNECTION_TIMEOUT),
        (9, Failure.NETWORK_UNREACHABLE),
        (10, Failure.HOST_UNREACHABLE),
        (11, Failure.CONNECTION_LIMIT),
        (12, Failure.DRAINING),
        (13, Failure.LOOP),
        (14, Failure.UPSTREAM_REFUSED),
        (15, Failure.CONNECTION_TERMINATED),
        (16, Failure.NOT_IMPLEMENTED),
    ],
)
def test_a_refusal_has_its_code(code: int, failure: Failure) -> None:
    assert REFUSALS[code] is failure
    assert REFUSAL_CODES[failure] == code


def test_the_page_has_every_code_of_refusals() -> None:
    table = PAGE.partition("Codes of REFUSED")[2].partition("An unknown code")[0]
    codes = [int(code) for code in re.findall(r"\| (\d+) \|", table)]
    assert sorted(codes) == sorted(REFUSALS) == list(range(1, 17))


def test_the_other_codes() -> None:
    assert [code.name for code in ResetCode] == ["RESET", "TIMEOUT", "INTERNAL", "SESSION_LOST"]
    assert [code.value for code in ResetCode] == [0, 1, 2, 3]
    assert [code.value for code in CloseCode] == list(range(7))
    assert [kind.value for kind in Kind] == [0, 1]


def test_a_data_frame_fits_a_record_exactly() -> None:
    assert MAX_DATA_BYTES + 15 == MAX_FRAMES_BYTES == 65_536
    assert MAX_DATAGRAM_BYTES < MAX_DATA_BYTES
    assert MAX_ACK_RANGES <= 255
    assert MAX_DETAILS_BYTES <= 0xFFFF
