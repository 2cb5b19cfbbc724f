"""Who holds credentials: found off the loop, at one cost for everybody, forgotten at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from underpass.access import Effect, Principal, Rule
from underpass.errors import UserError
from underpass.frontends.http.authentication import Throttled
from underpass.protocol.http.credentials import Basic, Bearer
from underpass.server import users
from underpass.server.passwords import PasswordHash, hash_password
from underpass.server.penalty import FREE_FAILURES
from underpass.server.user_store import SqliteUserStore, User
from underpass.server.users import HASHES_AT_ONCE, HASHES_WAITING, StoreAuthenticator

CLIENT = "192.0.2.1"
RULES = (Rule.parse(Effect.ALLOW, "git.example.com"),)
BOB = Basic("bob", "sesame")
HASH = hash_password("sesame", 2)


class MemoryStore:
    """A store that another could be."""

    def __init__(self) -> None:
        self.known = {"bob": User("bob", HASH, RULES), "robot": User("robot")}
        self.tokens = {"t0ken": "robot"}
        self.changes = 0
        self.asked: list[str] = []
        self.error: UserError | None = None

    def user(self, name: str) -> User | None:
        self._ask(name)
        return self.known.get(name)

    def user_of_token(self, token: str) -> User | None:
        self._ask("a token")
        return self.known.get(self.tokens.get(token, ""))

    def version(self) -> object:
        return self.changes

    def remove(self, name: str) -> None:
        del self.known[name]
        self.changes += 1

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def authenticator(store: MemoryStore) -> StoreAuthenticator:
    return StoreAuthenticator(store, cost=2)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[PasswordHash]:
    """Every hash that a password was compared with."""
    seen: list[PasswordHash] = []
    matches = PasswordHash.matches

    def counting(self: PasswordHash, password: str) -> bool:
        seen.append(self)
        return matches(self, password)

    monkeypatch.setattr(PasswordHash, "matches", counting)
    return seen


async def test_who_holds_the_password_is_known_with_their_rules(
    authenticator: StoreAuthenticator,
) -> None:
    assert await authenticator.authenticate(BOB, CLIENT) == Principal("bob", RULES)


@pytest.mark.parametrize(
    "credentials",
    [
        Basic("bob", "wrong"),
        Basic("bob", ""),
        Basic("Bob", "sesame"),
        Basic("eve", "sesame"),
        Basic("robot", ""),
        Basic("robot", "sesame"),
        Bearer("other"),
    ],
    ids=repr,
)
async def test_nobody_holds_anything_else(
    authenticator: StoreAuthenticator, credentials: Basic | Bearer
) -> None:
    assert await authenticator.authenticate(credentials, CLIENT) is None


async def test_a_token_is_enough(authenticator: StoreAuthenticator) -> None:
    assert await authenticator.authenticate(Bearer("t0ken"), CLIENT) == Principal("robot")


@pytest.mark.parametrize("name", ["bob", "eve", "robot"])
async def test_a_wrong_login_costs_one_hash_whoever_it_names(
    authenticator: StoreAuthenticator, hashed: list[PasswordHash], name: str
) -> None:
    assert await authenticator.authenticate(Basic(name, "wrong"), CLIENT) is None
    assert len(hashed) == 1
    assert (hashed[0].cost, hashed[0].block_size, hashed[0].parallel) == (2, 8, 2)
    assert len(hashed[0].salt) == len(HASH.salt)


async def test_hashing_is_done_in_a_thread(
    authenticator: StoreAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def matches(self: PasswordHash, password: str) -> bool:
        threads.append(threading.current_thread())
        return True

    monkeypatch.setattr(PasswordHash, "matches", matches)
    await authenticator.authenticate(BOB, CLIENT)
    assert threads != [threading.main_thread()]


# --- what is remembered


async def test_what_was_right_is_remembered_for_a_while(
    authenticator: StoreAuthenticator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert await authenticator.authenticate(BOB, CLIENT)
    assert store.asked == ["bob"]
    monkeypatch.setattr(users, "REMEMBER_SECONDS", 0.0)
    fresh = StoreAuthenticator(store, cost=2)
    for _ in range(2):
        assert await fresh.authenticate(BOB, CLIENT)
    assert store.asked == ["bob"] * 3


async def test_what_was_wrong_is_not_remembered(
    authenticator: StoreAuthenticator, store: MemoryStore
) -> None:
    for _ in range(2):
        assert await authenticator.authenticate(Basic("bob", "wrong"), CLIENT) is None
    assert store.asked == ["bob", "bob"]


async def test_a_removed_user_is_out_with_the_next_request(
    authenticator: StoreAuthenticator, store: MemoryStore
) -> None:
    assert await authenticator.authenticate(BOB, CLIENT)
    store.remove("bob")
    assert await authenticator.authenticate(BOB, CLIENT) is None


async def test_a_change_that_another_process_makes_counts_with_the_next_request(
    tmp_path: Path,
) -> None:
    ours, theirs = SqliteUserStore(tmp_path), SqliteUserStore(tmp_path)
    theirs.add(User("bob", HASH))
    authenticator = StoreAuthenticator(ours, cost=2)
    assert await authenticator.authenticate(BOB, CLIENT) == Principal("bob")
    theirs.set_rules("bob", RULES)
    assert await authenticator.authenticate(BOB, CLIENT) == Principal("bob", RULES)
    theirs.set_password("bob", hash_password("other", 2))
    assert await authenticator.authenticate(BOB, CLIENT) is None


async def test_a_user_removed_while_their_password_is_checked_is_not_remembered(
    authenticator: StoreAuthenticator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = PasswordHash.matches

    def slow(self: PasswordHash, password: str) -> bool:
        store.remove("bob")
        return matches(self, password)

    monkeypatch.setattr(PasswordHash, "matches", slow)
    assert await authenticator.authenticate(BOB, CLIENT)
    monkeypatch.setattr(PasswordHash, "matches", matches)
    assert await authenticator.authenticate(BOB, CLIENT) is None


async def test_only_so_many_are_remembered(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "MAX_REMEMBERED", 2)
    store.known |= {name: User(name, HASH) for name in ("ann", "carol")}
    authenticator = StoreAuthenticator(store, cost=2)
    for name in ("ann", "bob", "carol", "bob", "ann"):
        assert await authenticator.authenticate(Basic(name, "sesame"), CLIENT)
    assert store.asked == ["ann", "bob", "carol", "ann"]


async def test_basic_and_bearer_are_not_mixed_up(
    authenticator: StoreAuthenticator, store: MemoryStore
) -> None:
    assert await authenticator.authenticate(BOB, CLIENT)
    assert await authenticator.authenticate(Bearer("bob\0sesame"), CLIENT) is None
    assert await authenticator.authenticate(Basic("bob\0sesame", ""), CLIENT) is None


async def test_who_is_remembered_is_known_at_once(
    authenticator: StoreAuthenticator, store: MemoryStore
) -> None:
    for credentials in (BOB, Bearer("t0ken")):
        assert authenticator.known(credentials, CLIENT) is None
        principal = await authenticator.authenticate(credentials, CLIENT)
        assert principal is not None
        assert authenticator.known(credentials, CLIENT) is principal
        assert authenticator.known(credentials, "192.0.2.2") is principal
    assert authenticator.known(Basic("bob", "wrong"), CLIENT) is None
    assert store.asked == ["bob", "a token"]


async def test_nobody_is_known_after_a_change_of_the_store_or_where_it_fails(
    authenticator: StoreAuthenticator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MemoryStore) -> object:
        raise UserError("users.sqlite3: disk I/O error")

    await authenticator.authenticate(BOB, CLIENT)
    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "version", broken)
        assert authenticator.known(BOB, CLIENT) is None
    assert authenticator.known(BOB, CLIENT)
    store.remove("bob")
    assert authenticator.known(BOB, CLIENT) is None


async def test_nobody_is_known_from_where_somebody_guesses(
    authenticator: StoreAuthenticator,
) -> None:
    assert await authenticator.authenticate(BOB, CLIENT)
    for _ in range(2):
        # Each time that it is known, the failures before are forgiven.
        for _ in range(FREE_FAILURES - 1):
            await authenticator.authenticate(Basic("bob", "wrong"), CLIENT)
        assert authenticator.known(BOB, CLIENT)
    for _ in range(FREE_FAILURES):
        await authenticator.authenticate(Basic("bob", "wrong"), CLIENT)
    assert authenticator.known(BOB, CLIENT) is None


# --- what goes wrong


async def test_a_store_that_fails_lets_nobody_in_and_punishes_nobody(
    authenticator: StoreAuthenticator, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = UserError("users.sqlite3: disk I/O error")
    for _ in range(FREE_FAILURES + 1):
        assert await authenticator.authenticate(BOB, CLIENT) is None
    assert "users: users.sqlite3: disk I/O error" in caplog.text
    assert "sesame" not in caplog.text
    store.error = None
    assert await authenticator.authenticate(BOB, CLIENT)


async def test_who_guesses_has_to_wait_and_others_have_not(
    authenticator: StoreAuthenticator, store: MemoryStore
) -> None:
    for _ in range(FREE_FAILURES):
        assert await authenticator.authenticate(Basic("bob", "wrong"), CLIENT) is None
    with pytest.raises(Throttled) as caught:
        await authenticator.authenticate(BOB, CLIENT)
    assert 0 < caught.value.retry_after <= 1
    assert len(store.asked) == FREE_FAILURES
    assert await authenticator.authenticate(BOB, "192.0.2.2")


async def test_a_right_login_forgives_the_failures_before(
    authenticator: StoreAuthenticator,
) -> None:
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            assert await authenticator.authenticate(Basic("bob", "wrong"), CLIENT) is None
        assert await authenticator.authenticate(BOB, CLIENT)


async def test_too_many_at_once_are_told_to_come_again(
    authenticator: StoreAuthenticator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(self: PasswordHash, password: str) -> bool:
        return go_on.wait(5) and False

    monkeypatch.setattr(PasswordHash, "matches", slow)
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(HASHES_AT_ONCE + HASHES_WAITING):
                tasks.create_task(authenticator.authenticate(BOB, f"192.0.2.{number}"))
            await asyncio.sleep(0)
            with pytest.raises(Throttled):
                await authenticator.authenticate(BOB, CLIENT)
            go_on.set()
    finally:
        go_on.set()
    assert await authenticator.authenticate(Basic("eve", "x"), CLIENT) is None
