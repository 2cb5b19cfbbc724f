"""A store of the first version becomes today's with all that is in it; a later one is refused."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from underpass.errors import UserError
from underpass.server.user_schema import VERSION, prepare
from underpass.server.user_store import FILE, SqliteUserStore, User, UserLimits

FIRST = """
CREATE TABLE users (
    name TEXT PRIMARY KEY,
    password TEXT,
    rules TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE
) STRICT;
INSERT INTO users (name, rules) VALUES ('alice', 'deny 10.0.0.0/8');
INSERT INTO tokens VALUES (x'00', 'alice');
PRAGMA user_version = 1;
"""


def opened(path: Path | str = ":memory:") -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def shape(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """The columns of each table, by name."""
    query = (
        "SELECT m.name, c.name || ' ' || c.type FROM sqlite_master m"
        " JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, c.cid"
    )
    return database.execute(query).fetchall()


def test_an_older_store_has_the_shape_of_a_new_one() -> None:
    old, new = opened(), opened()
    old.executescript(FIRST)
    for database in (old, new):
        prepare(database)
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert shape(old) == shape(new)
    for database in (old, new):
        database.close()


def test_what_was_in_an_older_store_is_in_todays(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.touch(0o600)
    database = opened(path)
    database.executescript(FIRST)
    database.close()
    [alice] = SqliteUserStore(tmp_path).users()
    assert (alice.name, alice.limits) == ("alice", UserLimits())
    assert [str(rule) for rule in alice.rules] == ["10.0.0.0/8"]
    database = opened(path)
    assert database.execute("SELECT name FROM tokens").fetchall() == [("alice",)]
    database.close()


def test_several_processes_may_find_an_older_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.touch(0o600)
    database = opened(path)
    database.executescript(FIRST)
    database.close()
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: SqliteUserStore(tmp_path), range(8)))
    stores[0].add(User("bob"))
    assert [user.name for user in stores[7].users()] == ["alice", "bob"]


def test_a_later_store_is_refused_and_left_as_it_is() -> None:
    database = opened()
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(UserError, match="another version"):
        prepare(database)
    assert shape(database) == []
    database.close()
