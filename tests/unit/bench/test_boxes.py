"""The boxes let an ordinary request through, and hold what they say they hold."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.boxes import BOXES, HELD_BOX, Box
from bench.generator import Origin
from bench.held_box import BEHAVIOUR, LINE_DELAY, LINE_RATE
from bench.programs.launch import split
from bench.programs.tunnel_program import Place

from underpass.testing.middlebox import Hold

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    origin = Origin()
    yield origin
    origin.close()


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.name)
def test_request_goes_through(box: Box, origin: Origin, tmp_path: Path) -> None:
    running = box.start(Place(tmp_path), f"127.0.0.1:{origin.ports['http'][0]}")
    host, port = split(running.address)
    client = http.client.HTTPConnection(host, port, timeout=10)
    try:
        client.request("GET", "/")
        response = client.getresponse()
        assert response.status == 200
        assert len(response.read()) == 1024
    finally:
        client.close()
        running.stop()


def test_held_box_holds_all_and_has_a_line() -> None:
    assert HELD_BOX.name == "held"
    assert BEHAVIOUR.responses is Hold.WHOLE
    assert (BEHAVIOUR.rate, BEHAVIOUR.delay) == (LINE_RATE, LINE_DELAY)
