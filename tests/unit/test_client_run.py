"""A program within the tunnel: its variables, its exit code, its signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from underpass.address import ListenAddress
from underpass.client.front_ends import Listening
from underpass.client_run import _child, variables

LISTENING = (
    Listening("socks5", ListenAddress("127.0.0.1", 1)),
    Listening("http", ListenAddress("127.0.0.1", 2)),
)


def test_the_variables_are_those_that_programs_read() -> None:
    found = variables(LISTENING, {})
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        assert found[name] == "http://127.0.0.1:2"
    for name in ("all_proxy", "ALL_PROXY"):
        # Names are resolved at the far end.
        assert found[name] == "socks5h://127.0.0.1:1"
    assert found["no_proxy"] == found["NO_PROXY"] == "localhost,127.0.0.1,::1"


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_exceptions_that_are_set_stay(name: str) -> None:
    found = variables(LISTENING, {name: ""})
    assert "no_proxy" not in found
    assert "NO_PROXY" not in found


async def child(program: str, **environment: str) -> int:
    async with asyncio.timeout(10):
        return await _child((sys.executable, "-c", program), {**os.environ, **environment})


async def test_the_exit_code_is_the_programs() -> None:
    assert await child("raise SystemExit(7)") == 7
    assert await child("import os; raise SystemExit(os.environ['x'] != 'y')", x="y") == 0
    assert await child("import os; os.kill(os.getpid(), 9)") == 137


async def test_a_program_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: os.PathLike[str]
) -> None:
    assert await _child(("no-such-program",), dict(os.environ)) == 127
    assert "there is no such program" in capsys.readouterr().err
    assert await _child((os.fspath(tmp_path),), dict(os.environ)) == 126


async def test_signals_are_passed_on() -> None:
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(3))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(10)"
    )
    assert await child(program) == 3


async def test_ctrl_c_is_left_to_the_program() -> None:
    program = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(4)"
    assert await child(program) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
