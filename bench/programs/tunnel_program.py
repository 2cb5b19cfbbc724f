"""What every tunnel measured is to the bench: two ends that can be started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.generator import Entry
from bench.processes import Running


@dataclass(frozen=True, slots=True)
class Place:
    """Where the two ends run: each program run has a folder of its own.

    `server_host`: the address that the server binds and the client reaches. `client_prefix` and
    `server_prefix` stand before the commands, such as `ip netns exec NAME`.
    """

    directory: Path
    server_host: str = "127.0.0.1"
    client_prefix: tuple[str, ...] = ()
    server_prefix: tuple[str, ...] = ()

    def folder(self, name: str) -> Path:
        """A new folder below its own, `name` with a number if that is taken."""
        for number in range(1000):
            folder = self.directory / (f"{name}-{number}" if number else name)
            if not folder.exists():
                folder.mkdir(mode=0o700)
                return folder
        raise FileExistsError(f"no more folders for {name}")


class TunnelProgram(Protocol):
    """One tunnel. Starting raises `BenchError`.

    `origin` is HOST:PORT, and needed by programs whose entry is a forwarded port alone; the others
    go where each stream asks to.
    """

    @property
    def name(self) -> str: ...

    @property
    def remark(self) -> str:
        """For the page: what it is written in, how it is run, with what encryption."""
        ...

    @property
    def entry(self) -> Entry:
        """How an application comes in at the client's end."""
        ...

    def version(self) -> str | None:
        """The version that is here; None: it is not here."""
        ...

    def start_server(self, place: Place, origin: str) -> Running:
        """Start the outside end; `.address` is where it listens."""
        ...

    def start_client(self, place: Place, server: str, origin: str) -> Running:
        """Start the inside end, towards `server` (which may be a box before it).

        `.address` is its entry.
        """
        ...
