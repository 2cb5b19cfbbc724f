"""What ``underpass user …`` does, apart from reading arguments and printing."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence

from underpass.access import Rule
from underpass.errors import UserError
from underpass.server.passwords import hash_password
from underpass.server.user_store import SqliteUserStore, User, UserLimits, check_name


def add(store: SqliteUserStore, name: str, password: str, rules: Sequence[Rule]) -> None:
    """Add a user. Raises `UserError`, as all here do."""
    store.add(User(name, hash_password(password), tuple(rules)))


def check_absent(store: SqliteUserStore, name: str) -> None:
    """Raise what `add` would for this name, so that nobody is asked for a password in vain."""
    check_name(name)
    if store.user(name) is not None:
        raise UserError(f"there is a user {name} already")


def check_present(store: SqliteUserStore, name: str) -> None:
    """Raise `UserError` where there is no such user."""
    if store.user(name) is None:
        raise UserError(f"there is no user {name}")


def change_password(store: SqliteUserStore, name: str, password: str) -> None:
    """Give a user another password."""
    store.set_password(name, hash_password(password))


def remove(store: SqliteUserStore, name: str) -> None:
    """Remove a user, with their tokens, keys and codes; their tunnels end within a second."""
    store.remove(name)


def new_token(store: SqliteUserStore, name: str) -> str:
    """Issue a token to a user; it can't be shown again."""
    return store.issue_token(name)


def set_rules(store: SqliteUserStore, name: str, rules: Sequence[Rule]) -> None:
    """Replace a user's rules."""
    store.set_rules(name, rules)


def rules_of(store: SqliteUserStore, name: str) -> list[str]:
    """A user's rules, a line each."""
    user = store.user(name)
    if user is None:
        raise UserError(f"there is no user {name}")
    return [f"{rule.effect.value} {rule}" for rule in user.rules]


def limits(
    store: SqliteUserStore, name: str, sessions: int | None, streams: int | None
) -> UserLimits:
    """Change the limits that are given, and return them as they are then."""
    user = store.user(name)
    if user is None:
        raise UserError(f"there is no user {name}")
    changed = UserLimits(
        user.limits.sessions if sessions is None else sessions,
        user.limits.streams if streams is None else streams,
    )
    if changed != user.limits:
        store.set_limits(name, changed)
    return changed


def listing(store: SqliteUserStore) -> list[str]:
    """All users, a line each: the name, what they come in with, their limits and rules."""
    keys = collections.Counter(store.key_owners().values())
    return [" ".join(_described(user, keys[user.name])) for user in store.users()]


def _described(user: User, keys: int) -> Iterator[str]:
    yield user.name
    if keys:
        yield f"keys:{keys}"
    if user.limits.sessions:
        yield f"sessions:{user.limits.sessions}"
    if user.limits.streams:
        yield f"streams:{user.limits.streams}"
    yield from (f"{rule.effect.value}:{rule}" for rule in user.rules)
