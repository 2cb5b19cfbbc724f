"""Users on disk: an interface, and SQLite behind it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from underpass.access import Effect, Rule
from underpass.errors import ConfigurationError, UserError
from underpass.server.enrolment import CodeFault, CodeTerms, add_code, enrol
from underpass.server.passwords import PasswordHash
from underpass.server.user_schema import prepare

FILE = "users.sqlite3"

# No space, colon (RFC 7617) or control; what a log line or a shell would take for something else.
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)

TOKEN_BYTES = 32

# How long one process waits for another's change to the file.
BUSY_SECONDS = 5.0

_SELECT = "SELECT users.name, password, rules, sessions, streams FROM users"


@dataclass(frozen=True, slots=True)
class UserLimits:
    """What one user may have at once through a tunnel server; 0 is what the server allows all."""

    sessions: int = 0
    streams: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """One user: a name, how the password is checked, and rules and limits of their own."""

    name: str
    password: PasswordHash | None = field(default=None, repr=False)
    rules: tuple[Rule, ...] = ()
    limits: UserLimits = UserLimits()


class UserStore(Protocol):
    """Where users are kept. Calls may block; each raises `UserError` when the store fails."""

    def user(self, name: str) -> User | None:
        """The user with this name."""

    def user_of_token(self, token: str) -> User | None:
        """The user that this token was issued to."""

    def version(self) -> object:
        """Something that differs after every change, whichever process made it. Quick."""


class KeyStore(Protocol):
    """Where clients' keys are kept, by user. Calls fail and block as those of `UserStore`."""

    def user_of_key(self, public_key: bytes) -> User | None:
        """The user that has enrolled with this key."""

    def enrol(self, digest: bytes, public_key: bytes, now: int) -> User | CodeFault:
        """Give `public_key` to the user whom the code with this digest invites."""

    def key_owners(self) -> dict[bytes, str]:
        """All keys that are enrolled, with the names of their users."""

    def version(self) -> object:
        """Something that differs after every change, whichever process made it. Quick."""


def check_name(name: str) -> None:
    """Raise `UserError` for a name that no user can have."""
    if not _NAME.fullmatch(name):
        raise UserError("a name has 1 to 64 letters, digits, '.', '_', '@' or '-'")


class SqliteUserStore:
    """Users in ``users.sqlite3`` in a directory, both for their owner alone."""

    def __init__(self, directory: Path) -> None:
        """Open, or make, the store. Raises `ConfigurationError`."""
        self._path = directory / FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make()
            if stat.S_IMODE(self._path.stat().st_mode) & 0o077:
                raise ConfigurationError(f"{self._path}: others can read it; chmod 600 it")
            with self._opened() as database:
                self._prepare(database)
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror}") from None
        except UserError as error:
            raise ConfigurationError(str(error)) from None

    def _make(self) -> None:
        """Make the file before SQLite does it, which would leave the mode to the umask."""
        # One that is there is not opened: closing it would drop the locks that SQLite holds on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def _prepare(self, database: sqlite3.Connection) -> None:
        try:
            prepare(database)
        except UserError as error:
            raise UserError(f"{self._path}: {error}") from None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection of this call's own: calls come from several threads."""
        try:
            database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                database.execute("PRAGMA foreign_keys = ON")
                yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise UserError(f"{self._path}: {error}") from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """The same for a change, which `version` tells of as soon as it is made."""
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        now = time.time_ns()
        # The system's own clock for files is coarse: two changes could have the same time.
        with contextlib.suppress(OSError):
            os.utime(self._path, ns=(now, now))

    def version(self) -> object:
        """Something that differs after every change. Raises `UserError`."""
        # SQLite counts its changes in the file; reading that would take a lock, stat does not.
        try:
            status = self._path.stat()
        except OSError as error:
            raise UserError(f"{self._path}: {error.strerror}") from None
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def user(self, name: str) -> User | None:
        """The user with this name. Raises `UserError` where the store can't be read."""
        with self._opened() as database:
            row = database.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
        return _user(row)

    def user_of_token(self, token: str) -> User | None:
        """The user that this token was issued to. Raises as `user` does."""
        with self._opened() as database:
            query = f"{_SELECT} JOIN tokens USING (name) WHERE digest = ?"
            row = database.execute(query, (_digest(token),)).fetchone()
        return _user(row)

    def users(self) -> list[User]:
        """All users by name."""
        with self._opened() as database:
            rows = database.execute(f"{_SELECT} ORDER BY name").fetchall()
        return [user for row in rows if (user := _user(row)) is not None]

    def add(self, user: User) -> None:
        """Add a user. Raises `UserError` for a name that is taken or malformed."""
        check_name(user.name)
        password = str(user.password) if user.password else None
        limits = (user.limits.sessions, user.limits.streams)
        row = (user.name, password, _rules_text(user.rules), *limits)
        with self._changing() as database:
            try:
                database.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise UserError(f"there is a user {user.name} already") from None

    def remove(self, name: str) -> None:
        """Remove a user with all tokens, keys and codes. Raises `UserError` for an unknown name."""
        self._change(name, "DELETE FROM users WHERE name = :name", {})

    def set_password(self, name: str, password: PasswordHash) -> None:
        """Replace the password. Raises `UserError` for an unknown name."""
        statement = "UPDATE users SET password = :password WHERE name = :name"
        self._change(name, statement, {"password": str(password)})

    def set_rules(self, name: str, rules: Sequence[Rule]) -> None:
        """Replace the rules. Raises `UserError` for an unknown name."""
        statement = "UPDATE users SET rules = :rules WHERE name = :name"
        self._change(name, statement, {"rules": _rules_text(rules)})

    def set_limits(self, name: str, limits: UserLimits) -> None:
        """Replace the limits. Raises `UserError` for an unknown name."""
        statement = "UPDATE users SET sessions = :sessions, streams = :streams WHERE name = :name"
        self._change(name, statement, {"sessions": limits.sessions, "streams": limits.streams})

    # --- keys and the codes that invite to enrol one

    def user_of_key(self, public_key: bytes) -> User | None:
        """The user that has enrolled with this key. Raises as `user` does."""
        with self._opened() as database:
            query = f"{_SELECT} JOIN keys USING (name) WHERE public_key = ?"
            row = database.execute(query, (public_key,)).fetchone()
        return _user(row)

    def key_owners(self) -> dict[bytes, str]:
        """All keys that are enrolled, with the names of their users."""
        with self._opened() as database:
            return dict(database.execute("SELECT public_key, name FROM keys").fetchall())

    def add_invite(self, name: str, digest: bytes, invite: CodeTerms) -> None:
        """Keep a code, by its digest, that lets its holder enrol keys as user `name`.

        Raises `UserError` for an unknown name.
        """
        with self._changing() as database:
            try:
                add_code(database, name, digest, invite)
            except sqlite3.IntegrityError:
                raise _unknown(name) from None

    def enrol(self, digest: bytes, public_key: bytes, now: int) -> User | CodeFault:
        """Give `public_key` to the user whom the code invites, and count one use of the code.

        `now` in seconds since 1970. A key that is enrolled already uses nothing up: a client may
        come twice at once. Of several clients that come with the last use, one wins.
        """
        with self._changing() as database:
            found = enrol(database, digest, public_key, now)
            if isinstance(found, CodeFault):
                return found
            row = database.execute(f"{_SELECT} WHERE name = ?", (found,)).fetchone()
        user = _user(row)
        if user is None:
            raise _unknown(found)
        return user

    def issue_token(self, name: str) -> str:
        """Make a token for a user, in place of an older one, and return it: its digest is kept.

        Raises `UserError` for an unknown name.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = (_digest(token), name)
        with self._changing() as database:
            database.execute("DELETE FROM tokens WHERE name = ?", (name,))
            try:
                database.execute("INSERT INTO tokens (digest, name) VALUES (?, ?)", row)
            except sqlite3.IntegrityError:
                raise _unknown(name) from None
        return token

    def _change(self, name: str, statement: str, values: dict[str, str | int]) -> None:
        with self._changing() as database:
            if not database.execute(statement, {"name": name, **values}).rowcount:
                raise _unknown(name)


def _unknown(name: str) -> UserError:
    return UserError(f"there is no user {name}")


def _digest(token: str) -> bytes:
    # A token is 256 random bits: nothing to guess, so a fast hash keeps it as well as a slow one.
    return hashlib.sha256(token.encode("utf-8")).digest()


def _rules_text(rules: Sequence[Rule]) -> str:
    return "\n".join(f"{rule.effect.value} {rule}" for rule in rules)


def _user(row: tuple[str, str | None, str, int, int] | None) -> User | None:
    if row is None:
        return None
    name, password, rules, sessions, streams = row
    try:
        parsed = tuple(
            Rule.parse(Effect(effect), text)
            for effect, _, text in (line.partition(" ") for line in rules.splitlines())
        )
    except ValueError as error:
        raise UserError(f"the rules of {name} can't be read: {error}") from None
    known = PasswordHash.parse(password) if password else None
    return User(name, known, parsed, UserLimits(sessions, streams))
