"""What a worker inherits."""

from __future__ import annotations

import os
import socket
import tempfile

import pytest

from underpass.errors import ConfigurationError
from underpass.observe import SLOTS, Counter, Counters
from underpass.worker import VARIABLE, bequeath, counters_bytes, inherit


def test_inherit_finds_what_was_bequeathed() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryFile() as shared, listener, ours, theirs:
        shared.truncate(counters_bytes(3))
        text = bequeath([os.dup(listener.fileno())], shared.fileno(), 1, theirs.fileno())
        environ = {VARIABLE: text, "OTHER": "stays"}
        inheritance = inherit(environ)
        assert environ == {"OTHER": "stays"}
        assert inheritance is not None
        assert inheritance.slot == 1
        with inheritance.sockets[0] as inherited:
            assert inherited.getsockname() == listener.getsockname()
        Counters(inheritance.counters).add(Counter.DIALS, 5)
        words = memoryview(shared.read()).cast("q")
        assert words[SLOTS + Counter.DIALS] == 5
        inheritance.ready()
        assert ours.recv(10) == b"+"


def test_inherit_without_a_supervisor_is_none() -> None:
    assert inherit({}) is None


@pytest.mark.parametrize(
    "text", ["", "1", "{}", '{"slot":0,"counters":-1,"sockets":[],"ready":1}', "null"]
)
def test_inherit_refuses_what_no_supervisor_wrote(text: str) -> None:
    with pytest.raises(ConfigurationError, match="UNDERPASS_WORKER: for the program's own use"):
        inherit({VARIABLE: text})
