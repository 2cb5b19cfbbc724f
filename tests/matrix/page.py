"""docs/middleboxes.md, from the table of modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.matrix.modes import KINDS, MODES, Mode

HEAD = """\
# Middleboxes: what each carrier makes of each

Written by `make matrix`, which runs every cell of the table: one kind of carrier through one box,
several streams with hashes each way at once, a ping-pong, a refused open and half-closes.
**works**: every byte was right. Otherwise the client is told why within 15 s, in the words shown.
`auto` is what a client does that is told nothing: it works wherever any carrier does. A wrong byte
in any cell fails the suite.

The boxes are `underpass.testing.middlebox`, a hostile proxy for tests that is part of the package.
Unless its line says otherwise, a box refuses CONNECT, so that it sees each request; requests go on
when they are whole.
"""


def page(figures: Sequence[str] = ()) -> str:
    """The whole page."""
    return "\n".join([HEAD, "## The matrix\n", *_table(), "", *figures]).rstrip() + "\n"


def _table() -> Iterator[str]:
    yield f"| box | who does so | {' | '.join(KINDS)} |"
    yield "|---" * (len(KINDS) + 2) + "|"
    for mode in MODES:
        cells = " | ".join(_cell(mode, kind) for kind in KINDS)
        yield f"| {mode.name} | {mode.who} | {cells} |"


def _cell(mode: Mode, kind: str) -> str:
    if kind not in mode.fails:
        return "works"
    return f"“{mode.fails[kind]}”"
