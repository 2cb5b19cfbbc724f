"""How a malformed request is cut into pieces changes nothing in what is read of it."""

from __future__ import annotations

import pytest

from tests.malformed.case import Case
from tests.malformed.requests import REQUESTS
from underpass.errors import RemoteProtocolError
from underpass.protocol.http.message import Data, RequestReader, Signal

KINDS = sorted({case.kind for case in REQUESTS})
# The long ones are long in one field, where one byte is like the other.
SHORT = 1000


def story(case: Case, step: int) -> list[object]:
    """What a reader tells of one message, body pieces joined, up to its end or its refusal."""
    data = case.bytes_for(b"127.0.0.1", 80)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    reader = RequestReader()
    told: list[object] = []
    body = b""
    while True:
        try:
            event = reader.next_event()
        except RemoteProtocolError as error:
            return [*told, body, error.failure]
        if event is Signal.NEED_DATA:
            if pieces:
                reader.receive_data(pieces.pop(0))
            else:
                reader.receive_eof()
        elif isinstance(event, Data):
            body += event.data
        elif isinstance(event, Signal):
            return [*told, body, event]
        else:
            told.append(event)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_at_a_time_tells_the_same_story(kind: str) -> None:
    cases = [case for case in REQUESTS if case.kind == kind and len(case.data) <= SHORT]
    differing = [case.id for case in cases if story(case, 1) != story(case, 1 << 20)]
    assert cases
    assert differing == []
