"""Databases at the far end of a tunnel, with their own clients at this one."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.origins import LoopThread
from tests.real.cutting_relay import CuttingRelay, cut_every
from tests.real.databases import COMMAND_SECONDS, postgresql, publish, redis, subscriber
from tests.real.processes import clean_environment
from tests.real.tunnel import Tunnel

pytestmark = [pytest.mark.real, pytest.mark.slow]

KINDS = ("websocket", "stream", "poll", "get")
CUT_SECONDS = 0.2


def digest(number: int) -> str:
    """What PostgreSQL says for ``md5(number::text)``."""
    return hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()


# A few megabytes, as text.
ROWS = 100_000
TEXT = "".join(f"{i}\t{digest(i)}\n" for i in range(1, ROWS + 1)).encode()

# All of it is one session: nobody else sees its tables.
SESSION = f"""\
BEGIN;
CREATE TEMPORARY TABLE made AS SELECT i, md5(i::text) FROM generate_series(1, {ROWS}) AS i;
CREATE TEMPORARY TABLE brought (LIKE made);
\\copy made TO 'down.tsv'
\\copy brought FROM 'up.tsv'
SELECT count(*) FROM made NATURAL JOIN brought;
COMMIT;
"""


def forwarded(tunnel: Tunnel, to: int, through: int, *flags: str) -> int:
    """A port of a new client's, which leads to `to`; its carriers go over the port `through`."""
    tunnel.join("work", through)
    client = tunnel.start_client("work", "-L", f"0:127.0.0.1:{to}", *flags)
    client.wait_for("tunnel up: ")
    return client.port("forward")


def ask(command: Path, *arguments: str, port: int, folder: Path, stdin: str = "") -> str:
    """What a client of PostgreSQL prints."""
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    return subprocess.run(
        [command, *where, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        cwd=folder,
        env=clean_environment(),
        text=True,
        timeout=COMMAND_SECONDS,
        check=True,
    ).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_with_postgresql_outlives_its_carriers(
    kind: str,
    tunnel: Tunnel,
    relay: CuttingRelay,
    program: Callable[[str], Path],
    origins: LoopThread,
    tmp_path: Path,
) -> None:
    (tmp_path / "up.tsv").write_bytes(TEXT)
    with postgresql(program) as database:
        port = forwarded(tunnel, database, relay.port, "--carrier", kind)
        flags = ("-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-f", "-", "postgres")
        with cut_every(CUT_SECONDS, relay, origins):
            said = ask(program("psql"), *flags, port=port, folder=tmp_path, stdin=SESSION)
        assert said.split() == [str(ROWS)]
        assert (tmp_path / "down.tsv").read_bytes() == TEXT
        assert relay.cuts >= 1


def test_many_sessions_with_postgresql_at_once(
    tunnel: Tunnel, program: Callable[[str], Path], tmp_path: Path
) -> None:
    with postgresql(program) as database:
        port = forwarded(tunnel, database, tunnel.port)
        pgbench = program("pgbench")
        ask(pgbench, "-i", "-q", "postgres", port=port, folder=tmp_path)
        said = ask(pgbench, "-c8", "-t50", "-n", "postgres", port=port, folder=tmp_path)
        assert "number of transactions actually processed: 400/400" in said
        assert "number of failed transactions: 0" in said


def test_a_subscriber_of_redis_hears_what_comes_after_a_cut(
    tunnel: Tunnel,
    relay: CuttingRelay,
    program: Callable[[str], Path],
    origins: LoopThread,
    tmp_path: Path,
) -> None:
    with redis(program, tmp_path) as server:
        port = forwarded(tunnel, server, relay.port)
        with subscriber(program, port, "news", tmp_path / "heard") as wait_for:
            for word in ("first", "second", "third"):
                publish(program, server, "news", word)
                wait_for(word)
                origins.run(relay.cut())
            assert relay.cuts >= 1
