"""PostgreSQL and Redis on loopback, with folders of their own."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.real.processes import free_port, running, serving, wait_until

Command = list[str | Path]

SERVANT = "nobody"
COMMAND_SECONDS = 60


@contextlib.contextmanager
def postgresql(program: Callable[[str], Path]) -> Iterator[int]:
    """Run a server that believes everybody on loopback; its port."""
    port = free_port()
    # Where its user can get: tmp_path lies in a folder of mode 0700.
    with tempfile.TemporaryDirectory(prefix="underpass-postgresql-") as name:
        folder = Path(name)
        by_servant = _as_servant(program, folder)
        data = folder / "data"
        initialise: Command = [
            program("initdb"),
            "--auth=trust",
            "--username=postgres",
            "--locale=C",
        ]
        subprocess.run(
            [*by_servant, *initialise, "--no-sync", "-D", data],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=True,
        )
        listen: Command = ["-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        serve = [*by_servant, program("postgres"), "-D", data, *listen]
        with serving(serve, folder / "log", port):
            yield port


def _as_servant(program: Callable[[str], Path], folder: Path) -> Command:
    """What runs a program as somebody to whom `folder` belongs: PostgreSQL does not for root."""
    if os.geteuid() != 0:
        return []
    servant = pwd.getpwnam(SERVANT)
    os.chown(folder, servant.pw_uid, servant.pw_gid)
    ids = [f"--reuid={servant.pw_uid}", f"--regid={servant.pw_gid}", "--clear-groups"]
    return [program("setpriv"), *ids]


@contextlib.contextmanager
def redis(program: Callable[[str], Path], folder: Path) -> Iterator[int]:
    """Run a server that keeps nothing; its port."""
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with serving([program("redis-server"), *options], folder / "redis.log", port):
        yield port


@contextlib.contextmanager
def subscriber(
    program: Callable[[str], Path], port: int, channel: str, heard: Path
) -> Iterator[Callable[[str], None]]:
    """Have redis-cli write down what comes by `channel`; yields how to wait for a word of it."""
    with running(_redis_cli(program, port, "subscribe", channel), heard):

        def wait_for(word: str) -> None:
            wait_until(lambda: word in heard.read_text().split(), f"{word} by {channel}")

        wait_for("subscribe")
        yield wait_for


def publish(program: Callable[[str], Path], port: int, channel: str, word: str) -> None:
    """Tell all subscribers."""
    command = _redis_cli(program, port, "publish", channel, word)
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=COMMAND_SECONDS, check=True)


def _redis_cli(program: Callable[[str], Path], port: int, *words: str) -> Command:
    return [program("redis-cli"), "-h", "127.0.0.1", "-p", str(port), *words]
