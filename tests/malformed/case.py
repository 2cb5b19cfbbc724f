"""One malformed message: its bytes, and what must become of it."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

# Stands in the bytes for where the recording origin listens: all of it, its host, its port.
ORIGIN, HOST, PORT = b"{o}", b"{h}", b"{p}"

# What an attacker hopes to smuggle in behind a message that two parsers read differently.
EVIL = b"GET http://{o}/evil HTTP/1.1\r\nHost: {o}\r\n\r\n"


class Fate(enum.Enum):
    """What may reach the other side."""

    NOTHING = "nothing"
    # The head was well-formed and went on; the body is cut, and can't be taken for a whole one.
    CUT = "cut"
    # It is whole; what was planted behind it goes nowhere, and its connection carries no more.
    ALONE = "alone"


@dataclass(frozen=True)
class Case:
    """`status` is the answer. `ends`: the sender ends its direction after `data`.

    `method` is that of the request which a malformed response answers.
    """

    id: str
    data: bytes
    status: int = 400
    fate: Fate = Fate.NOTHING
    ends: bool = False
    method: bytes = b"GET"

    def bytes_for(self, host: bytes, port: int) -> bytes:
        """The bytes to send, with the origin's place filled in."""
        number = b"%d" % port
        filled = self.data.replace(ORIGIN, host + b":" + number)
        return filled.replace(HOST, host).replace(PORT, number)

    @property
    def kind(self) -> str:
        """The class of the case: the first word of its id."""
        return self.id.partition(" ")[0]


def named(text: bytes) -> str:
    """`text` as a short part of an id."""
    shown = text.decode("latin-1").encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= 48 else f"{shown[:32]}…{len(text)}"


def distinct(cases: Iterator[Case]) -> list[Case]:
    """The cases in order, each bytes once; tables meet in some, and must not contradict there."""
    found: dict[tuple[bytes, bytes, bool], Case] = {}
    ids: set[str] = set()
    for case in cases:
        twin = found.setdefault((case.method, case.data, case.ends), case)
        assert (twin.status, twin.fate) == (case.status, case.fate), f"{case.id}, {twin.id}"
        if twin is case:
            assert case.id not in ids, f"two cases called {case.id}"
            ids.add(case.id)
    return list(found.values())
