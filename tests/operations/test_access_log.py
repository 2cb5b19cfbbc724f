"""What is written: a line each, whatever clients send, and serving goes on where writing fails."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.operations.client import client, metric
from tests.origins import HttpOrigin
from tests.real.conftest import StartProxy
from tests.real.processes import (
    ProxyProcess,
    clean_environment,
    end,
    free_port,
    proxy_process,
    underpass,
    wait_until,
)

pytestmark = pytest.mark.slow

LOOPBACK = ("--allow", "127.0.0.0/8")

TEXT = re.compile(
    r"\S+T\S+Z (?P<method>\S+) (?P<address>\S+) (?P<status>\d+) (?P<user>\S+) (?P<client>\S+) "
    r"(?P<sent>\S+) up (?P<received>\S+) down (?P<seconds>\S+)s (?P<reason>.+)"
)


def exchange_all(proxy: ProxyProcess, plain: HttpOrigin) -> None:
    """A tunnel, two forwarded requests over one connection, and a refusal."""
    with client(proxy.port) as one:
        assert one.tunnel(plain.name).startswith("HTTP/1.1 200")
        one.say("GET /close HTTP/1.0\r\n\r\n")
        assert one.rest().endswith(b"the end")
    with client(proxy.port) as one:
        assert len(one.get(f"{plain.name}/bytes/1000")[1]) == 1000
        assert "404" in one.get(f"{plain.name}/nothing")[0]
        assert "403" in one.get("10.1.2.3/")[0]


def test_text_has_one_line_a_request_or_tunnel(start_proxy: StartProxy, plain: HttpOrigin) -> None:
    proxy = start_proxy(*LOOPBACK)
    exchange_all(proxy, plain)
    proxy.wait_for_line(" 403 ")
    found = [TEXT.fullmatch(line) for line in proxy.lines()]
    lines = [line.groupdict() for line in found if line is not None]
    assert len(lines) == len(found) == 4
    tunnel, ok, missing, refused = lines
    assert (tunnel["method"], tunnel["address"]) == ("CONNECT", plain.name)
    assert (tunnel["status"], tunnel["sent"], tunnel["reason"]) == ("200", "23B", "ok")
    assert (ok["method"], ok["status"], ok["received"]) == ("GET", "200", "1.0kB")
    assert missing["status"] == "404"
    assert (refused["address"], refused["user"]) == ("10.1.2.3:80", "-")
    assert "prohibited" in refused["reason"]
    assert {line["client"] for line in lines} == {"127.0.0.1"}


def test_json_has_one_object_a_request_or_tunnel(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    proxy = start_proxy(*LOOPBACK, "--log", "json")
    exchange_all(proxy, plain)
    proxy.wait_for_line(":403,")
    tunnel, ok, missing, refused = (json.loads(line) for line in proxy.lines())
    assert set(tunnel) == {"time", "kind", *TEXT.groupindex, "request_id"}
    assert (tunnel["method"], tunnel["sent"], tunnel["reason"]) == ("CONNECT", 23, "ok")
    assert (ok["status"], ok["received"], missing["status"]) == (200, 1000, 404)
    assert (refused["status"], refused["address"]) == (403, "10.1.2.3:80")
    assert refused["request_id"]
    assert 0 < tunnel["seconds"] < 30


# What a client can put where it is written down: a line of its own, a terminal's escape, a quote,
# text that turns around, a byte that is no text.
NASTY = [b"\n2026-01-01T00:00:00.000Z", b"\x1b[2J", b'"', b"'", b"\xe2\x80\xae", b"\xff\x00", b" "]


HEADS = (
    b"CONNECT a%b.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a%b.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GE%bT http://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://a.example/ HTTP/1.1\r\nHost: a%b\r\n\r\n",
    b"GET http://a.example/ HTTP/1.1\r\nHost: a\r\nX-%b: 1\r\n\r\n",
)


def check_lines(proxy: ProxyProcess, count: int, form: str, told: int = 0) -> None:
    """After the `told` first lines there is one a request, with nothing that may not be there."""
    wait_until(lambda: len(proxy.lines()) >= told + count, "a line each")
    text = proxy.log.read_bytes()
    assert re.fullmatch(rb"[\x20-\x7e\n]*", text)
    lines = text.decode().splitlines()[told:]
    assert len(lines) == count
    if form == "json":
        assert {json.loads(line)["kind"] for line in lines} == {"access"}
    else:
        assert all(TEXT.fullmatch(line) for line in lines)


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_bytes_forge_no_line(start_proxy: StartProxy, form: str) -> None:
    proxy = start_proxy("--deny", "*", "--log", form)
    for nasty in NASTY:
        for head in HEADS:
            with client(proxy.port) as one:
                one.say(head.replace(b"%b", nasty))
                assert one.head().split(" ")[1] in {"400", "403", "501"}
    check_lines(proxy, len(NASTY) * len(HEADS), form)


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_users_forge_no_line(start_proxy: StartProxy, state: Path, form: str) -> None:
    # Kept few: each has a password checked, which is slow on purpose.
    users = [b"alice" + nasty for nasty in NASTY[:2]]
    state.mkdir()
    proxy = start_proxy("--auth", "basic", "--state", state, "--log", form)
    told = len(proxy.lines())
    for user in users:
        credentials = base64.b64encode(user + b":wonder").decode()
        with client(proxy.port) as one:
            head, _ = one.get("a.example/", f"Proxy-Authorization: Basic {credentials}")
            assert "407" in head
    check_lines(proxy, len(users), form, told)


def test_full_disk_stops_nothing_and_the_loss_is_counted(
    start_proxy: StartProxy, plain: HttpOrigin
) -> None:
    # /dev/full fails as a full disk does; so nobody reads there which port the metrics have.
    metrics = free_port()
    proxy = start_proxy(*LOOPBACK, "--metrics", f"127.0.0.1:{metrics}", "--log-file", "/dev/full")
    exchange_all(proxy, plain)
    wait_until(lambda: metric(metrics, "underpass_log_lines_dropped_total") >= 4, "the loss counts")
    exchange_all(proxy, plain)


@contextlib.contextmanager
def writing_to(errors: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A proxy with this standard error; the process and its port."""
    with subprocess.Popen(
        underpass("proxy", "--listen", "127.0.0.1:0", *LOOPBACK),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline().rpartition(b":")[2])
        finally:
            end(process)


def test_closed_standard_error_stops_nothing(plain: HttpOrigin) -> None:
    reading, writing = os.pipe()
    with writing_to(writing) as (process, port):
        os.close(writing)
        os.close(reading)
        for _ in range(3):
            with client(port) as one:
                assert len(one.get(f"{plain.name}/bytes/1000")[1]) == 1000
            # Longer than lines wait before they are written, into a pipe with no other end.
            time.sleep(0.25)
        assert process.poll() is None
    assert process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-"])
def test_standard_error_that_never_was_is_no_socket(
    program: Callable[[str], Path], tmp_path: Path, echo: str, closed: str, workers: str
) -> None:
    without = (program("sh"), "-c", f'exec "$@" {closed}', "sh")
    with proxy_process(tmp_path, *LOOPBACK, "--workers", workers, within=without) as proxy:
        assert Path(f"/proc/{proxy.process.pid}/fd/2").resolve() == Path("/dev/null")
        with client(proxy.port) as one:
            assert "403" in one.get("10.1.2.3/")[0]
            assert one.tunnel(echo).startswith("HTTP/1.1 200")
            # Longer than lines wait before they are written.
            time.sleep(0.25)
            assert one.echoes()
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(10) == 0


def test_reader_that_hangs_stops_nothing() -> None:
    reading, writing = os.pipe()
    with writing_to(writing) as (process, port):
        os.close(writing)
        with client(port) as one:
            # More than a pipe holds.
            for _ in range(2000):
                assert "403" in one.get("10.1.2.3/")[0]
        assert process.poll() is None
    os.close(reading)
    assert process.returncode == 0
