"""Making an invite: a user, a code in the store, and the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from underpass.access import Effect, Rule
from underpass.errors import UserError
from underpass.server.certificate import FILE, own_certificate, own_pin
from underpass.server.enrolment import CodeFault, digest_of
from underpass.server.invites import InviteTerms, make_invite
from underpass.server.keys import server_public_key
from underpass.server.user_store import SqliteUserStore, User

NOW = 1_700_000_000
HTTP = InviteTerms("http://a.example", 1, 3600)
HTTPS = InviteTerms("https://a.example", 1, 3600)


def now() -> float:
    return NOW + 0.9


def test_an_invite_names_the_server_and_its_code_enrols(tmp_path: Path) -> None:
    invite = make_invite(tmp_path, "alice", HTTP, now)
    assert (invite.url, invite.name, invite.pin) == ("http://a.example", "alice", b"")
    assert invite.server_key == server_public_key(tmp_path)
    store = SqliteUserStore(tmp_path)
    digest = digest_of(invite.code)
    assert store.enrol(digest, b"\x01" * 32, NOW + 3599) == User("alice")
    assert store.enrol(digest, b"\x02" * 32, NOW + 3599) is CodeFault.USED_UP
    assert store.enrol(digest, b"\x02" * 32, NOW + 3600) is CodeFault.EXPIRED


def test_a_user_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    store = SqliteUserStore(tmp_path)
    bob = User("bob", rules=(Rule.parse(Effect.DENY, "*"),))
    store.add(bob)
    first, second = (make_invite(tmp_path, "bob", HTTP, now) for _ in range(2))
    assert first.code != second.code
    assert store.users() == [bob]


def test_a_certificate_of_its_own_is_pinned_where_tls_is_used(tmp_path: Path) -> None:
    assert make_invite(tmp_path, "alice", HTTPS, now).pin == b""
    assert not (tmp_path / FILE).exists()
    own_certificate(tmp_path)
    assert make_invite(tmp_path, "alice", HTTPS, now).pin == own_pin(tmp_path) != b""
    assert make_invite(tmp_path, "alice", HTTP, now).pin == b""


def test_it_is_made_first_where_the_server_will_use_it(tmp_path: Path) -> None:
    terms = InviteTerms("https://a.example", 1, 60, tls_self=True)
    assert make_invite(tmp_path, "alice", terms, now).pin == own_pin(tmp_path) != b""


def test_a_name_that_can_not_be_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a name has"):
        make_invite(tmp_path / "state", "a b", HTTP, now)
    assert not (tmp_path / "state").exists()
