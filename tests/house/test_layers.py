"""The arrows between rooms: a module imports only what stands above it in docs/design.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.house.source import DESIGN, MODULES, Module, imports_of, own_imports_of

# What the sans-IO room may not know of: the world outside comes in as arguments.
IMPURE = {
    "asyncio",
    "concurrent",
    "logging",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "uvloop",
}

# The parts of a room that nothing else in it knows. Those of `frontends` are all its parts.
KINDS = {"websocket", "stream", "poll", "get"}

# The package's face and its command stand below everything.
FACES = {"underpass", "underpass.__main__"}

_ROW = re.compile(r"\| (`[^|]+`) \|")
_NAME = re.compile(r"`([a-z_/.]+)`")


@dataclass(frozen=True)
class Place:
    """Where a module stands: the line of the list it is on, and the room or file within."""

    rank: int
    room: str


def rooms() -> list[str]:
    """The first column of the table of rooms, from top to bottom."""
    section = DESIGN.read_text(encoding="utf-8").split("\n## 4.")[1].split("\n## ")[0]
    cells = (row[1] for line in section.splitlines() if (row := _ROW.match(line)))
    return [name for cell in cells for name in _NAME.findall(cell)]


ROOMS = rooms()


def place_of(module: Module) -> Place:
    first, slash, _ = module.place.partition("/")
    room = first + slash
    return Place(ROOMS.index(room), room)


def arrows() -> list[tuple[Module, Module]]:
    """Every import of one own module by another."""
    return [
        (module, MODULES[name])
        for module in MODULES.values()
        for name in sorted(own_imports_of(module) & MODULES.keys())
        if module.name not in FACES
    ]


def test_every_module_has_a_room() -> None:
    homeless = {
        module.place
        for module in MODULES.values()
        if module.name not in FACES and module.place.partition("/")[0] not in _tops()
    }
    assert homeless == set(), "name them in the table of docs/design.md section 4"


def _tops() -> set[str]:
    return {room.rstrip("/") for room in ROOMS}


def test_every_import_of_our_own_is_a_module() -> None:
    unknown = {
        (module.place, name)
        for module in MODULES.values()
        for name in own_imports_of(module)
        if name not in MODULES
    }
    assert unknown == set()


def test_modules_import_only_rooms_above() -> None:
    wrong = [
        f"{user.place} imports {used.place}"
        for user, used in arrows()
        if used.name in FACES or place_of(used).rank > place_of(user).rank
    ]
    assert wrong == []


def sibling(module: Module) -> str:
    """The part of a room that a module belongs to: ``http`` of ``frontends/http/pool.py``."""
    return module.place.split("/")[1].removesuffix(".py")


def arrows_within(room: str) -> list[tuple[Module, Module]]:
    """Every import of one part of a room by another."""
    return [
        (user, used)
        for user, used in arrows()
        if place_of(user).room == place_of(used).room == f"{room}/"
        and sibling(used) != sibling(user)
    ]


def test_front_ends_do_not_know_each_other() -> None:
    wrong = [
        f"{user.place} imports {used.place}"
        for user, used in arrows_within("frontends")
        if sibling(used) != "base"
    ]
    assert wrong == []


def test_kinds_of_carriers_share_only_what_is_no_kind() -> None:
    """docs/decisions/008-parts-of-carriers.md."""
    wrong = [
        f"{user.place} imports {used.place}"
        for user, used in arrows_within("carriers")
        if sibling(used) in KINDS or sibling(user) == "base"
    ]
    assert wrong == []


def test_the_protocol_room_is_pure() -> None:
    wrong = [
        f"{module.place} imports {name}"
        for module in MODULES.values()
        if module.place.startswith("protocol/")
        for name in imports_of(module)
        if name.partition(".")[0] in IMPURE
    ]
    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter({m.name: own_imports_of(m) for m in MODULES.values()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]), pytrace=False)
