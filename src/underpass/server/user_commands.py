"""What ``underpass user …`` does, apart from reading arguments and printing."""

from __future__ import annotations

from collections.abc import Sequence

from underpass.access import Rule
from underpass.errors import UserError
from underpass.server.passwords import hash_password
from underpass.server.user_store import SqliteUserStore, User, check_name


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
    """Remove a user, with their tokens."""
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


def listing(store: SqliteUserStore) -> list[str]:
    """All users, a line each: the name, and their rules."""
    return [
        " ".join([user.name, *(f"{rule.effect.value}:{rule}" for rule in user.rules)])
        for user in store.users()
    ]
