"""Codes: so many uses until a time, for one user, and kept by digest alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from underpass.errors import UserError
from underpass.server.enrolment import REMEMBER_SECONDS, CodeFault, CodeTerms, digest_of
from underpass.server.user_store import FILE, SqliteUserStore, User

NOW = 1_700_000_000
CODE = b"\x05" * 16
DIGEST = digest_of(CODE)


def key(number: int) -> bytes:
    return bytes([number]) * 32


@pytest.fixture
def store(tmp_path: Path) -> SqliteUserStore:
    store = SqliteUserStore(tmp_path)
    store.add(User("alice"))
    return store


def terms(uses: int = 1, seconds: int = 60) -> CodeTerms:
    return CodeTerms(uses, NOW + seconds, NOW)


def test_a_code_gives_a_key_to_its_user(store: SqliteUserStore, tmp_path: Path) -> None:
    store.add_invite("alice", DIGEST, terms())
    assert store.enrol(DIGEST, key(1), NOW) == User("alice")
    assert store.user_of_key(key(1)) == User("alice")
    assert store.user_of_key(key(2)) is None
    assert store.key_owners() == {key(1): "alice"}
    assert CODE not in (tmp_path / FILE).read_bytes()


def test_a_code_works_as_often_as_it_says(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(uses=2))
    found = [store.enrol(DIGEST, key(number), NOW) for number in range(3)]
    assert found == [User("alice"), User("alice"), CodeFault.USED_UP]


def test_a_key_that_is_enrolled_uses_nothing_up(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(uses=1))
    for _ in range(3):
        assert store.enrol(DIGEST, key(1), NOW) == User("alice")
    assert store.enrol(digest_of(b"another"), key(1), NOW) == User("alice")


def test_a_code_works_until_it_expires(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(uses=2, seconds=60))
    assert store.enrol(DIGEST, key(1), NOW + 59) == User("alice")
    assert store.enrol(DIGEST, key(2), NOW + 60) is CodeFault.EXPIRED


def test_an_unknown_code_enrols_nobody(store: SqliteUserStore) -> None:
    assert store.enrol(DIGEST, key(1), NOW) is CodeFault.UNKNOWN
    assert store.key_owners() == {}


def test_of_many_at_once_as_many_win_as_the_code_says(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(uses=3))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: store.enrol(DIGEST, key(n), NOW), range(12)))
    assert found.count(CodeFault.USED_UP) == 9
    assert len(store.key_owners()) == 3


def test_keys_and_codes_go_with_their_user(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(uses=2))
    store.enrol(DIGEST, key(1), NOW)
    store.remove("alice")
    assert store.key_owners() == {}
    store.add(User("alice"))
    assert store.user_of_key(key(1)) is None
    assert store.enrol(DIGEST, key(1), NOW) is CodeFault.UNKNOWN


def test_nobody_is_invited_who_is_no_user(store: SqliteUserStore) -> None:
    with pytest.raises(UserError, match="there is no user eve"):
        store.add_invite("eve", DIGEST, terms())


def test_codes_that_expired_long_ago_are_forgotten(store: SqliteUserStore) -> None:
    store.add_invite("alice", DIGEST, terms(seconds=60))
    late = NOW + 60 + REMEMBER_SECONDS
    store.add_invite("alice", digest_of(b"b"), CodeTerms(1, late + 60, late))
    assert store.enrol(DIGEST, key(1), late) is CodeFault.EXPIRED
    store.add_invite("alice", digest_of(b"c"), CodeTerms(1, late + 60, late + 1))
    assert store.enrol(DIGEST, key(1), late) is CodeFault.UNKNOWN


def test_every_change_of_keys_is_told(store: SqliteUserStore) -> None:
    versions = [store.version()]
    store.add_invite("alice", DIGEST, terms())
    versions.append(store.version())
    store.enrol(DIGEST, key(1), NOW)
    versions.append(store.version())
    assert len(set(versions)) == 3
