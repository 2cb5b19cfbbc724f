"""The store on disk: for its owner alone, whole at every moment, shared by processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from underpass.access import Effect, Rule
from underpass.errors import ConfigurationError, UserError
from underpass.server.passwords import hash_password
from underpass.server.user_store import FILE, SqliteUserStore, User

RULES = (
    Rule.parse(Effect.ALLOW, "git.example.com:443"),
    Rule.parse(Effect.ALLOW, "[fc00::]:8000-8100"),
    Rule.parse(Effect.DENY, "10.0.0.0/8"),
)
BOB = User("bob", hash_password("sesame", 2), RULES)


@pytest.fixture
def store(tmp_path: Path) -> SqliteUserStore:
    return SqliteUserStore(tmp_path)


def tamper(tmp_path: Path, statement: str) -> None:
    database = sqlite3.connect(tmp_path / FILE)
    with database:
        database.execute(statement)
    database.close()


# --- users


def test_a_user_is_found_as_it_was_added(store: SqliteUserStore, tmp_path: Path) -> None:
    store.add(BOB)
    for one in (store, SqliteUserStore(tmp_path)):
        assert one.user("bob") == BOB
        assert one.user("Bob") is None
        assert one.users() == [BOB]


def test_a_user_may_have_no_password(store: SqliteUserStore) -> None:
    store.add(User("robot"))
    assert store.user("robot") == User("robot", None, ())


def test_a_hash_is_in_no_repr() -> None:
    assert "scrypt" not in repr(BOB)
    assert "PasswordHash" not in repr(BOB)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "-" * 65, "ä", "a/b", "(anonymous)"])
def test_a_name_that_would_be_taken_for_something_else_is_refused(
    store: SqliteUserStore, name: str
) -> None:
    with pytest.raises(UserError, match="a name has 1 to 64"):
        store.add(User(name))
    assert store.users() == []


def test_a_name_is_given_once(store: SqliteUserStore) -> None:
    store.add(BOB)
    with pytest.raises(UserError, match="there is a user bob already"):
        store.add(User("bob"))
    assert store.user("bob") == BOB


def test_a_name_is_data_not_sql(store: SqliteUserStore) -> None:
    store.add(BOB)
    assert store.user("' OR 1=1 --") is None
    assert store.user_of_token("' OR 1=1 --") is None


def test_unknown_users_are_told(store: SqliteUserStore) -> None:
    for change in (
        lambda: store.remove("eve"),
        lambda: store.set_rules("eve", RULES),
        lambda: store.set_password("eve", hash_password("x", 2)),
        lambda: store.issue_token("eve"),
    ):
        with pytest.raises(UserError, match="there is no user eve"):
            change()


# --- tokens


def test_a_token_leads_to_its_user_and_is_kept_as_its_digest(
    store: SqliteUserStore, tmp_path: Path
) -> None:
    store.add(BOB)
    token = store.issue_token("bob")
    assert store.user_of_token(token) == BOB
    assert store.user_of_token(token[:-1]) is None
    assert token.encode() not in (tmp_path / FILE).read_bytes()
    assert len(token) >= 43


def test_a_new_token_ends_the_old_one(store: SqliteUserStore) -> None:
    store.add(BOB)
    old, new = store.issue_token("bob"), store.issue_token("bob")
    assert store.user_of_token(old) is None
    assert store.user_of_token(new) == BOB


def test_tokens_go_with_their_user(store: SqliteUserStore) -> None:
    store.add(BOB)
    token = store.issue_token("bob")
    store.remove("bob")
    store.add(BOB)
    assert store.user_of_token(token) is None


# --- the version


def test_every_change_makes_another_version(store: SqliteUserStore, tmp_path: Path) -> None:
    other = SqliteUserStore(tmp_path)
    seen = [store.version()]
    for change in (
        lambda: other.add(BOB),
        lambda: other.set_rules("bob", ()),
        lambda: other.set_rules("bob", RULES),
        lambda: other.set_password("bob", hash_password("x", 2)),
        lambda: other.issue_token("bob"),
        lambda: other.remove("bob"),
    ):
        change()
        assert store.version() not in seen
        seen.append(store.version())
    assert store.version() == seen[-1]


def test_changes_within_one_tick_of_the_file_clock_are_told_apart(
    store: SqliteUserStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(BOB)
    seen = set()
    for now in range(8):
        # The file's time is told by a clock that never stands still, instead of the kernel's.
        monkeypatch.setattr("underpass.server.user_store.time.time_ns", lambda now=now: now)
        store.set_rules("bob", RULES[: now % 2])
        assert (tmp_path / FILE).stat().st_mtime_ns == now
        seen.add(store.version())
    assert len(seen) == 8


# --- the file


def test_the_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SqliteUserStore(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b" / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_store_that_others_can_open_is_refused(
    store: SqliteUserStore, tmp_path: Path, mode: int
) -> None:
    (tmp_path / FILE).chmod(mode)
    with pytest.raises(ConfigurationError, match=r"others can read it; chmod 600 it"):
        SqliteUserStore(tmp_path)


def test_a_store_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file.*(exists|Not a directory)"):
        SqliteUserStore(tmp_path / "file")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("something else entirely, longer than a header of SQLite is")
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a database"):
        SqliteUserStore(tmp_path)


def test_a_store_of_another_version_is_refused(store: SqliteUserStore, tmp_path: Path) -> None:
    tamper(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="made by another version of underpass"):
        SqliteUserStore(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET password = 'nonsense'",
        "UPDATE users SET rules = 'nonsense'",
        "UPDATE users SET rules = 'allow no rule:x'",
        "DROP TABLE users",
    ],
)
def test_a_broken_store_is_told_and_lets_nobody_in(
    store: SqliteUserStore, tmp_path: Path, change: str
) -> None:
    store.add(BOB)
    tamper(tmp_path, change)
    with pytest.raises(UserError):
        store.user("bob")


def test_a_store_that_is_gone_is_told(store: SqliteUserStore, tmp_path: Path) -> None:
    (tmp_path / FILE).unlink()
    with pytest.raises(UserError, match="No such file"):
        store.version()


def test_a_store_that_another_holds_for_long_is_told(
    store: SqliteUserStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpass.server.user_store.BUSY_SECONDS", 0.01)
    database = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UserError, match="locked"):
        store.add(BOB)
    database.close()


# --- several processes

ADDS = """
import sys
from pathlib import Path
from underpass.server.user_store import SqliteUserStore, User
store = SqliteUserStore(Path(sys.argv[1]))
print("+", flush=True)
for number in range(int(sys.argv[3])):
    store.add(User(f"{sys.argv[2]}{number}"))
"""


def adds(folder: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", ADDS, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_processes_that_make_and_change_the_store_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = [adds(tmp_path, name, 20) for name in ("a", "b", "c")]
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert len(SqliteUserStore(tmp_path).users()) == 60


@pytest.mark.slow
def test_a_process_killed_during_a_change_leaves_a_whole_store(tmp_path: Path) -> None:
    for round_ in range(10):
        process = adds(tmp_path, f"r{round_}-", 1000)
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"+\n"
            process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        names = [user.name for user in SqliteUserStore(tmp_path).users()]
        mine = {name for name in names if name.startswith(f"r{round_}-")}
        # What was added before the end is there, in order, and nothing else.
        assert mine == {f"r{round_}-{number}" for number in range(len(mine))}
    database = sqlite3.connect(tmp_path / FILE)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
