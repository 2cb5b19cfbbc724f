"""The lines on standard output that say where we listen."""

from __future__ import annotations

import errno
import io
import sys

import pytest

from underpass.address import ListenAddress
from underpass.announce import announce


@pytest.mark.parametrize(
    ("address", "tls", "line"),
    [
        (ListenAddress("127.0.0.1", 8080), False, "listening http://127.0.0.1:8080\n"),
        (ListenAddress("::1", 8443), True, "listening https://[::1]:8443\n"),
        (ListenAddress(None, 0, "/run/p.sock"), False, "listening unix:/run/p.sock\n"),
        (ListenAddress(None, 0, "/run/p.sock"), True, "listening unix:/run/p.sock\n"),
    ],
)
def test_a_listener_is_a_line(
    capsys: pytest.CaptureFixture[str], address: ListenAddress, tls: bool, line: str
) -> None:
    announce(address, tls=tls)
    assert capsys.readouterr().out == line


def test_a_closed_output_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")

    monkeypatch.setattr(sys, "stdout", Closed())
    announce(ListenAddress("127.0.0.1", 8080), tls=False)
