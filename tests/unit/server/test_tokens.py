"""Tokens in the user store: one a user, the newest."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.errors import UserError
from underpass.server.user_store import SqliteUserStore, User


@pytest.fixture
def store(tmp_path: Path) -> SqliteUserStore:
    """A store with two users, neither of whom has a token."""
    store = SqliteUserStore(tmp_path)
    store.add(User("alice"))
    store.add(User("bob"))
    return store


def test_a_token_finds_its_user(store: SqliteUserStore) -> None:
    assert store.user_of_token(store.issue_token("alice")) == User("alice")
    assert store.user_of_token("another") is None


def test_a_new_token_takes_the_place_of_the_old_one(store: SqliteUserStore) -> None:
    old, others = store.issue_token("alice"), store.issue_token("bob")
    new = store.issue_token("alice")
    assert store.user_of_token(old) is None
    assert store.user_of_token(new) == User("alice")
    assert store.user_of_token(others) == User("bob")


def test_a_token_goes_with_its_user(store: SqliteUserStore) -> None:
    token = store.issue_token("alice")
    store.remove("alice")
    assert store.user_of_token(token) is None


def test_a_stranger_gets_no_token(store: SqliteUserStore) -> None:
    with pytest.raises(UserError, match="there is no user carol"):
        store.issue_token("carol")
