"""The tables of the user store, and how those of an older version become today's."""

from __future__ import annotations

import sqlite3

from underpass.errors import UserError

# One step a version. IF NOT EXISTS in the first: another process may have been quicker.
_STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE IF NOT EXISTS users (
            name TEXT PRIMARY KEY,
            password TEXT,
            rules TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        """CREATE TABLE IF NOT EXISTS tokens (
            digest BLOB PRIMARY KEY,
            name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE
        ) STRICT""",
    ),
    (
        "ALTER TABLE users ADD COLUMN sessions INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE users ADD COLUMN streams INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE keys (
            public_key BLOB PRIMARY KEY,
            name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            added INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE codes (
            digest BLOB PRIMARY KEY,
            name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            uses INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT""",
    ),
)

VERSION = len(_STEPS)


def prepare(database: sqlite3.Connection) -> None:
    """Bring the tables to `VERSION`. Raises `UserError` for a store of a later one."""
    if _version(database) == VERSION:
        return
    database.execute("BEGIN EXCLUSIVE")
    # Once more: nobody else can change it now.
    version = _version(database)
    if version > VERSION:
        raise UserError("made by another version of underpass")
    for step in _STEPS[version:]:
        for statement in step:
            database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute("COMMIT")


def _version(database: sqlite3.Connection) -> int:
    [version] = database.execute("PRAGMA user_version").fetchone()
    return int(version)
