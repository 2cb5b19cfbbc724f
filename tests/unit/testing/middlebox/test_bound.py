"""NTLM, as a box asks for it on each stream."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import spnego

from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead
from underpass.testing.middlebox import Behaviour, Login
from underpass.testing.middlebox.bound import BoundDesk

NTLM = Behaviour(login=Login.NTLM, expire_after=2)


@pytest.fixture(autouse=True)
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts"
    path.write_text("CORP:carol:open sesame\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(path))


def request(token: bytes | None = None) -> RequestHead:
    pairs = []
    if token is not None:
        pairs.append((b"Proxy-Authorization", b"NTLM " + base64.b64encode(token)))
    return RequestHead(b"GET", b"http://a.example/", HTTP_11, Fields(pairs))


def log_in(desk: BoundDesk, password: str) -> list[bytes] | None:
    """All steps; what the last request is told."""
    client = spnego.client("CORP\\carol", password, "box", "http", protocol="ntlm")
    [challenge] = desk.challenges(request(client.step()), NTLM) or []
    scheme, _, token = challenge.partition(b" ")
    assert scheme == b"NTLM"
    return desk.challenges(request(client.step(base64.b64decode(token))), NTLM)


@pytest.mark.slow
def test_a_stream_is_logged_in_for_a_while() -> None:
    desk = BoundDesk()
    assert desk.challenges(request(), NTLM) == [b"NTLM"]
    assert log_in(desk, "open sesame") is None
    assert desk.challenges(request(), NTLM) is None
    assert desk.challenges(request(), NTLM) == [b"NTLM"]
    assert log_in(desk, "open sesame") is None


@pytest.mark.slow
def test_a_wrong_password_begins_anew() -> None:
    desk = BoundDesk()
    assert log_in(desk, "wrong") == [b"NTLM"]
    assert log_in(desk, "open sesame") is None


@pytest.mark.parametrize("login", [b"Basic YTpi", b"NTLM !!!"])
def test_what_is_no_login_of_its_own_is_none(login: bytes) -> None:
    head = RequestHead(b"GET", b"/", HTTP_11, Fields([(b"Proxy-Authorization", login)]))
    assert BoundDesk().challenges(head, NTLM) == [b"NTLM"]
