"""`make protocol-docs`: writes the tables of states, and their diagrams, into docs/protocol.md.

They are made from the tables that the code runs by, so that the page can't say anything else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from underpass.protocol import session_state, stream_state
from underpass.protocol.stream_state import OVER, StreamState

PAGE = Path(__file__).parents[1] / "docs/protocol.md"

# Of either kind of states and inputs.
Table = Mapping[tuple[Any, Any], Any]


def _grouped(table: Table, state: enum.Enum) -> dict[enum.Enum, list[str]]:
    """What may happen in a state, by the state that follows."""
    groups: dict[enum.Enum, list[str]] = {}
    for (before, happened), after in table.items():
        if before is state:
            groups.setdefault(after, []).append(str(happened.value))
    return groups


def _row(table: Table, state: enum.Enum) -> str:
    groups = _grouped(table, state)
    stays = groups.pop(state, [])
    moves = [f"{', '.join(inputs)} → **{after.value}**" for after, inputs in groups.items()]
    return f"| {state.value} | {'; '.join(moves) or '–'} | {', '.join(stays) or '–'} |"


def _diagram(table: Table, states: type[enum.Enum], left_out: frozenset[enum.Enum]) -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {state.name} : {state.value}" for state in states if state not in left_out]
    for state in states:
        for after, inputs in _grouped(table, state).items():
            if after is not state and not {state, after} & left_out:
                lines.append(f"    {state.name} --> {after.name} : {', '.join(inputs)}")
    return [*lines, "```"]


def _part(table: Table, states: type[enum.Enum], left_out: frozenset[enum.Enum]) -> str:
    rows = [_row(table, state) for state in states]
    head = ["| state | moves on | stays |", "|---|---|---|"]
    return "\n".join([*head, *rows, "", *_diagram(table, states, left_out)])


def parts() -> dict[str, str]:
    """What stands between each pair of markers."""
    ends = frozenset[enum.Enum](OVER)
    stream = _part(stream_state.TRANSITIONS, StreamState, ends)
    session = _part(session_state.TRANSITIONS, session_state.SessionState, frozenset())
    return {
        "states": f"{stream}\n\nThe diagram leaves out reset and refused, which the table has.",
        "session states": session,
    }


def written(page: str) -> str:
    """The page with its generated parts made anew."""
    for name, text in parts().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"docs/protocol.md: no markers of {name!r}")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
