"""What the user commands do to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.access import Effect, Rule
from underpass.errors import UserError
from underpass.server import user_commands
from underpass.server.enrolment import CodeTerms, digest_of
from underpass.server.passwords import PasswordHash, hash_password
from underpass.server.user_store import SqliteUserStore, User, UserLimits

ALLOW = Rule.parse(Effect.ALLOW, "git.example.com:443")
DENY = Rule.parse(Effect.DENY, "*")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteUserStore:
    def cheap(password: str) -> PasswordHash:
        return hash_password(password, 2)

    monkeypatch.setattr(user_commands, "hash_password", cheap)
    return SqliteUserStore(tmp_path)


def matches(store: SqliteUserStore, name: str, password: str) -> bool:
    user = store.user(name)
    return user is not None and user.password is not None and user.password.matches(password)


def test_a_user_is_added_with_password_and_rules(store: SqliteUserStore) -> None:
    user_commands.add(store, "bob", "sesame", [ALLOW, DENY])
    assert matches(store, "bob", "sesame")
    assert user_commands.rules_of(store, "bob") == ["allow git.example.com:443", "deny *"]


def test_a_password_is_replaced(store: SqliteUserStore) -> None:
    user_commands.add(store, "bob", "old", [])
    user_commands.change_password(store, "bob", "new")
    assert matches(store, "bob", "new")
    assert not matches(store, "bob", "old")


def test_a_removed_user_is_gone_with_their_token(store: SqliteUserStore) -> None:
    user_commands.add(store, "bob", "sesame", [])
    token = user_commands.new_token(store, "bob")
    user_commands.remove(store, "bob")
    assert store.user("bob") is None
    assert store.user_of_token(token) is None
    assert user_commands.listing(store) == []


def test_rules_are_replaced_and_can_be_taken_away(store: SqliteUserStore) -> None:
    user_commands.add(store, "bob", "sesame", [ALLOW])
    user_commands.set_rules(store, "bob", [DENY])
    assert user_commands.rules_of(store, "bob") == ["deny *"]
    user_commands.set_rules(store, "bob", [])
    assert user_commands.rules_of(store, "bob") == []


def test_users_are_listed_by_name_with_their_rules(store: SqliteUserStore) -> None:
    user_commands.add(store, "carol", "x", [ALLOW, DENY])
    user_commands.add(store, "bob", "x", [])
    assert user_commands.listing(store) == ["bob", "carol allow:git.example.com:443 deny:*"]


def test_an_unknown_user_is_told(store: SqliteUserStore) -> None:
    for command in (
        lambda: user_commands.change_password(store, "eve", "x"),
        lambda: user_commands.remove(store, "eve"),
        lambda: user_commands.set_rules(store, "eve", []),
        lambda: user_commands.rules_of(store, "eve"),
        lambda: user_commands.new_token(store, "eve"),
    ):
        with pytest.raises(UserError, match="there is no user eve"):
            command()


def test_a_name_is_checked_before_a_password_is_asked_for(store: SqliteUserStore) -> None:
    user_commands.add(store, "bob", "sesame", [])
    user_commands.check_absent(store, "eve")
    user_commands.check_present(store, "bob")
    with pytest.raises(UserError, match="there is a user bob already"):
        user_commands.check_absent(store, "bob")
    with pytest.raises(UserError, match="a name has 1 to 64"):
        user_commands.check_absent(store, "not a name")
    with pytest.raises(UserError, match="there is no user eve"):
        user_commands.check_present(store, "eve")


def test_limits_change_one_by_one_and_are_listed_with_keys(store: SqliteUserStore) -> None:
    store.add(User("carol"))
    assert user_commands.limits(store, "carol", 2, None) == UserLimits(sessions=2)
    assert user_commands.limits(store, "carol", None, 5) == UserLimits(2, 5)
    before = store.version()
    assert user_commands.limits(store, "carol", None, None) == UserLimits(2, 5)
    assert store.version() == before
    digest = digest_of(b"code")
    store.add_invite("carol", digest, CodeTerms(1, 10, 0))
    store.enrol(digest, b"\x01" * 32, 5)
    assert user_commands.listing(store) == ["carol keys:1 sessions:2 streams:5"]


def test_limits_of_an_unknown_user_are_told(store: SqliteUserStore) -> None:
    with pytest.raises(UserError, match="there is no user eve"):
        user_commands.limits(store, "eve", 1, 1)
