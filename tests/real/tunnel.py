"""A tunnel's server and its client, each in a process of its own."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.processes import START_SECONDS, clean_environment, end, tail, underpass, wait_until

COMMAND_SECONDS = 30


@dataclass
class Running:
    """A process of ours, with what it says in files."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def said(self, pattern: str) -> list[str]:
        """The lines of its standard output that match."""
        return [line for line in self.output.read_text().splitlines() if re.search(pattern, line)]

    def wait_for(self, pattern: str, count: int = 1, seconds: float = START_SECONDS) -> str:
        """Wait for so many such lines; the last."""

        def holds() -> bool:
            return len(self.said(pattern)) >= count or self.process.poll() is not None

        wait_until(holds, repr(pattern), seconds)
        assert len(self.said(pattern)) >= count, tail(self.log)
        return self.said(pattern)[-1]

    def port(self, scheme: str) -> int:
        """Where it listens for `scheme`."""
        line = self.wait_for(rf"listening {scheme}://")
        found = re.search(r"127\.0\.0\.1:([0-9]+)", line)
        assert found is not None, line
        return int(found[1])


@contextlib.contextmanager
def process_of(
    folder: Path, name: str, *arguments: str | Path, **environment: str
) -> Iterator[Running]:
    """Run a command of ours; end it by its id."""
    output, log = folder / f"{name}.out", folder / f"{name}.log"
    with output.open("wb") as out, log.open("ab") as err:
        process = subprocess.Popen(
            underpass(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=clean_environment(**environment),
        )
    try:
        yield Running(process, output, log)
    finally:
        end(process)
        print(f"--- {name}\n{tail(output)}\n{tail(log)}")


@dataclass
class Tunnel:
    """A server with one user, and what its clients need to know."""

    folder: Path
    stack: contextlib.ExitStack
    flags: Sequence[str]
    port: int = 0
    server: Running = field(init=False)

    def start_server(self) -> None:
        """Start it, on the port of the last time if there was one."""
        flags = [*self.flags, "--state", str(self.folder / "server")]
        listen = f"127.0.0.1:{self.port}"
        self.server = self.stack.enter_context(
            process_of(self.folder, "server", "server", "--listen", listen, *flags)
        )
        self.port = self.server.port("http")

    def kill_server(self) -> None:
        """End it as the power does."""
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(10)

    def invite(self, name: str = "alice", port: int | None = None) -> Path:
        """A new user's invite, in a file; the client is to come to `port`."""
        url = f"http://127.0.0.1:{port or self.port}"
        state = str(self.folder / "server")
        line = self.run("invite", name, "--url", url, "--state", state).stdout
        file = self.folder / f"{name}.invite"
        file.write_bytes(line)
        return file

    def join(self, name: str, port: int | None = None) -> None:
        """Keep a new user's invite as profile `name`."""
        self.run("join", name, stdin=self.invite(name, port).read_bytes())

    def start_client(self, profile: str, *flags: str) -> Running:
        """Run a client with SOCKS and HTTP on free ports."""
        listeners = ["--socks", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        return self.stack.enter_context(
            process_of(
                self.folder,
                f"client-{profile}",
                "client",
                profile,
                *listeners,
                *flags,
                **self.environment,
            )
        )

    @property
    def environment(self) -> dict[str, str]:
        """Where profiles and state of the client are."""
        return {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def run(
        self, *arguments: str, stdin: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command of ours to its end."""
        done = subprocess.run(
            underpass(*arguments),
            input=stdin,
            capture_output=True,
            env=clean_environment(**self.environment),
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done


@contextlib.contextmanager
def tunnel_in(folder: Path, *flags: str) -> Iterator[Tunnel]:
    """A server that runs; what the tests reach is on loopback, and `flags` are more of it."""
    with contextlib.ExitStack() as stack:
        tunnel = Tunnel(folder, stack, [*flags, "--allow", "127.0.0.0/8"])
        tunnel.start_server()
        yield tunnel


def underpass_command(*arguments: str) -> str:
    """A command of ours as a shell takes it."""
    return " ".join(underpass(*arguments))
