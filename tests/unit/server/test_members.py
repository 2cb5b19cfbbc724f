"""Who holds a key: asked in a thread, remembered until the store changes."""

from __future__ import annotations

import threading

import pytest

from underpass.errors import UserError
from underpass.server import members
from underpass.server.enrolment import CodeFault, digest_of
from underpass.server.members import Members
from underpass.server.user_store import KeyStore, User

ALICE = User("alice")
KEY = b"\x01" * 32


class Shelf(KeyStore):
    """A store in memory that counts how often it is asked."""

    def __init__(self) -> None:
        self.users = {KEY: ALICE}
        self.asked = 0
        self.changes = 0
        self.threads: set[int] = set()

    def user_of_key(self, public_key: bytes) -> User | None:
        self.asked += 1
        self.threads.add(threading.get_ident())
        return self.users.get(public_key)

    def enrol(self, digest: bytes, public_key: bytes, now: int) -> User | CodeFault:
        if digest != digest_of(b"good") or now != 5:
            return CodeFault.UNKNOWN
        self.users[public_key] = ALICE
        self.changes += 1
        return ALICE

    def key_owners(self) -> dict[bytes, str]:
        return {key: user.name for key, user in self.users.items()}

    def version(self) -> object:
        return self.changes


async def test_a_key_is_asked_for_once_and_not_on_this_thread() -> None:
    shelf = Shelf()
    them = Members(shelf)
    for _ in range(3):
        assert await them.of_key(KEY) is ALICE
    assert shelf.asked == 1
    assert threading.get_ident() not in shelf.threads
    them.close()


async def test_a_key_that_is_nobodys_is_asked_for_each_time() -> None:
    shelf = Shelf()
    them = Members(shelf)
    assert await them.of_key(b"\x02" * 32) is None
    assert await them.of_key(b"\x02" * 32) is None
    assert shelf.asked == 2
    them.close()


async def test_a_change_is_seen_at_once() -> None:
    shelf = Shelf()
    them = Members(shelf)
    assert await them.of_key(KEY) is ALICE
    del shelf.users[KEY]
    shelf.changes += 1
    assert await them.of_key(KEY) is None
    assert await them.owners() == {}
    them.close()


async def test_a_code_enrols_by_its_digest_and_whole_seconds() -> None:
    shelf = Shelf()
    them = Members(shelf)
    other = b"\x02" * 32
    assert await them.enrol(b"bad", other, 5.9) is CodeFault.UNKNOWN
    assert await them.enrol(b"good", other, 5.9) is ALICE
    assert await them.of_key(other) is ALICE
    assert await them.owners() == {KEY: "alice", other: "alice"}
    them.close()


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_REMEMBERED", 2)
    shelf = Shelf()
    keys = [bytes([number]) * 32 for number in range(3)]
    shelf.users = {key: User(f"user{key[0]}") for key in keys}
    them = Members(shelf)
    for key in (keys[0], keys[1], keys[0], keys[2]):
        await them.of_key(key)
    assert shelf.asked == 3
    await them.of_key(keys[0])
    assert shelf.asked == 3
    await them.of_key(keys[1])
    assert shelf.asked == 4
    them.close()


async def test_a_store_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()

    def fail(_: bytes) -> User:
        raise UserError("the disk is gone")

    monkeypatch.setattr(shelf, "user_of_key", fail)
    them = Members(shelf)
    with pytest.raises(UserError, match="the disk is gone"):
        await them.of_key(KEY)
    them.close()
