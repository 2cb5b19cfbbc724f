"""Invites: one line each way, whole or told to be damaged, and no secret in what is printed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.protocol.invite import PREFIX, Invite

PLAIN = Invite("http://a.example/x", b"\x01" * 32, "alice", b"\x02" * 16)
PINNED = dataclasses.replace(PLAIN, url="https://192.0.2.1:8443", pin=b"\x03" * 32)
LINE = (
    "underpass:AQASaHR0cDovL2EuZXhhbXBsZS94AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEFYWxpY2UQ"
    "AgICAgICAgICAgICAgICAgD63Hi5"
)


def line_of(body: bytes) -> str:
    """A line whose check is right, whatever its body says."""
    whole = body + hashlib.sha256(body).digest()[:4]
    return PREFIX + base64.urlsafe_b64encode(whole).decode("ascii").rstrip("=")


def body_of(invite: Invite) -> bytes:
    text = invite.format().removeprefix(PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-4]


# --- both ways


def test_the_line_is_as_written_down() -> None:
    assert PLAIN.format() == LINE
    assert Invite.parse(LINE) == PLAIN


@pytest.mark.parametrize("invite", [PLAIN, PINNED])
def test_what_is_formatted_is_read_again(invite: Invite) -> None:
    assert Invite.parse(invite.format()) == invite
    assert Invite.parse(f"  {invite.format()}\r\n") == invite


def test_a_line_that_a_mail_program_has_folded_is_read() -> None:
    folded = "\n ".join(LINE[at : at + 40] for at in range(0, len(LINE), 40))
    assert Invite.parse(folded) == PLAIN


@given(
    st.builds(
        Invite,
        url=st.just("https://[2001:db8::1]:1/a"),
        server_key=st.binary(min_size=32, max_size=32),
        name=st.text("aB9._@-", min_size=1, max_size=64),
        code=st.binary(min_size=1, max_size=255),
        pin=st.sampled_from([b"", b"\x07" * 32]),
    )
)
def test_every_invite_survives_its_line(invite: Invite) -> None:
    assert Invite.parse(invite.format()) == invite


def test_no_secret_is_in_a_repr() -> None:
    assert repr(PLAIN.code) not in repr(PLAIN)
    assert "code" not in repr(PLAIN)


# --- what is no invite


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no invite was given"),
        (" \n", "no invite was given"),
        ("https://a.example", "one begins with 'underpass:'"),
        ("underpass", "one begins with"),
        (PREFIX, "damaged"),
        (PREFIX + "A", "damaged"),
        (PREFIX + "AAAA", "damaged"),
        (PREFIX + "+/+/", "damaged"),
        (PREFIX + "ä", "damaged"),
        (LINE[:-1], "damaged"),
        (LINE[:40] + LINE[41:], "damaged"),
        (LINE.replace("AQEB", "AQEA", 1), "damaged"),
        (PREFIX + "A" * 5000, "at most 4096"),
        (line_of(b"\x02" + body_of(PLAIN)[1:]), "version 2: a newer underpass"),
        (line_of(b""), "malformed"),
        (line_of(body_of(PLAIN) + b"x"), "malformed"),
        (line_of(body_of(PLAIN)[:-1]), "malformed"),
        (line_of(body_of(PLAIN).replace(b"alice", b"\xff" * 5)), "malformed"),
        (line_of(body_of(PLAIN).replace(b"http:", b"file:")), "http://"),
    ],
)
def test_what_is_no_invite_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        Invite.parse(text)
    assert LINE[60:80] not in str(caught.value)


@given(st.one_of(st.text(max_size=100), st.binary(max_size=200).map(line_of)))
def test_nothing_but_value_errors_come_of_any_text(text: str) -> None:
    for one in (text, PREFIX + text):
        try:
            Invite.parse(one)
        except ValueError:
            continue


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://a"},
        {"url": "http://a b"},
        {"url": "http://ä"},
        {"url": "http://a\n"},
        {"url": "http://" + "a" * 2000},
        {"server_key": b"\x01" * 31},
        {"pin": b"\x01"},
        {"name": ""},
        {"name": "a" * 65},
        {"name": "ä"},
        {"name": "a\n"},
        {"code": b""},
        {"code": b"x" * 256},
    ],
)
def test_an_invite_that_can_not_be_is_not_made(change: dict[str, str | bytes]) -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(PLAIN, **change)  # type: ignore[arg-type] # wrong on purpose
