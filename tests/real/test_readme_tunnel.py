"""The recipes of README.md for the tunnel, run as they stand there; see `test_readme`."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.ssh_server import ssh_server
from tests.real.test_readme import PAGE, Desk, block, desk
from tests.real.tunnel import Running, process_of

pytestmark = [pytest.mark.real, pytest.mark.slow]

__all__ = ["desk"]

LINES = [line for line in block("tunnel").splitlines() if not line.startswith("chromium ")]


@dataclass
class Ends:
    """A tunnel whose server and client were started as the README says."""

    desk: Desk
    stack: contextlib.ExitStack
    client: Running | None = None

    def start(self, line: str, *more: str) -> Running:
        """Run a line that does not end by itself, on free ports."""
        name, *arguments = shlex.split(line, comments=True)
        assert name == "underpass"
        return self.stack.enter_context(
            process_of(
                self.desk.folder,
                f"{arguments[0]}-{len(more)}",
                *arguments,
                *more,
                HOME=str(self.desk.folder),
                UNDERPASS_STATE=str(self.desk.folder / "state"),
            )
        )

    def local(self, line: str) -> str:
        """A line that goes through the client of this test."""
        assert self.client is not None
        socks = f"127.0.0.1:{self.client.port('socks5')}"
        return self.desk.local(line).replace("127.0.0.1:1080", socks)


@pytest.fixture
def ends(desk: Desk) -> Iterator[Ends]:
    with contextlib.ExitStack() as stack:
        ends = Ends(desk, stack)
        server, invite = block("outside").splitlines()
        listening = server.replace("0.0.0.0:443", "127.0.0.1:0")
        port = ends.start(listening, "--allow", "127.0.0.0/8").port("https")
        invited = desk.shell(invite.replace("203.0.113.5", f"127.0.0.1:{port}"))
        join, client = block("inside").splitlines()
        desk.shell(join, stdin=invited)
        ends.client = ends.start(client, "--socks", "127.0.0.1:0", "--http", "127.0.0.1:0")
        ends.client.wait_for("tunnel up: ")
        yield ends


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0:2][-1])
def test_recipe_goes_through_the_tunnel(
    ends: Ends, program: Callable[[str], Path], line: str
) -> None:
    desk = ends.desk
    match line.split():
        case ["git", *_]:
            repository = desk.folder / "repositories" / "project.git"
            desk.run(str(program("git")), "init", "-q", "--bare", str(repository))
            desk.shell(ends.local(line))
            assert (desk.folder / "project" / ".git").is_dir()
        case ["ssh", *_]:
            with ssh_server(program, desk.folder / "ssh") as server:
                command = line.split("#")[0].replace("user@host.example", server.login)
                command = command.replace("ssh ", f"ssh {shlex.join(server.options())} ", 1)
                assert desk.shell(f"{command} echo there") == "there\n"
        case ["underpass", "client", *_]:
            forward = line.replace("5432:db.internal:5432", f"0:{desk.plain.name}")
            port = ends.start(forward, "--log", "json").port("forward")
            assert desk.shell(f"curl http://127.0.0.1:{port}/") == PAGE.decode()
        case ["underpass", "run", *_]:
            # What that fetches is not for tests to ask for; curl finds the same variables.
            command = line.replace("pip download requests", f"curl --noproxy '' {desk.secure.url}/")
            assert desk.shell(command) == PAGE.decode()
        case _:
            assert desk.shell(ends.local(line)) == PAGE.decode()
