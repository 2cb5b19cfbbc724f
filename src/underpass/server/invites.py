"""Making invites: a code in the store, and the line that hands it over."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from underpass.errors import UserError
from underpass.protocol.invite import CODE_BYTES, Invite
from underpass.server.certificate import own_certificate, own_pin
from underpass.server.enrolment import CodeTerms, digest_of
from underpass.server.keys import server_public_key
from underpass.server.user_store import SqliteUserStore, User, check_name


@dataclass(frozen=True, slots=True)
class InviteTerms:
    """Where clients find the server, how many may come in with the code, and for how long.

    `tls_self` says that the server speaks TLS with a certificate of its own, made yet or not.
    """

    url: str
    uses: int
    seconds: int
    tls_self: bool = False


def make_invite(
    directory: Path, name: str, terms: InviteTerms, wall: Callable[[], float] = time.time
) -> Invite:
    """Make an invite to the server whose state is in `directory`; the user too if there is none.

    Raises `ConfigurationError` and `UserError`.
    """
    check_name(name)
    store = SqliteUserStore(directory)
    if terms.tls_self:
        own_certificate(directory)
    pin = own_pin(directory) if terms.url.startswith("https:") else b""
    invite = Invite(terms.url, server_public_key(directory), name, os.urandom(CODE_BYTES), pin)
    # Another invite for the same user may be made at this moment.
    with contextlib.suppress(UserError):
        store.add(User(name))
    now = int(wall())
    store.add_invite(name, digest_of(invite.code), CodeTerms(terms.uses, now + terms.seconds, now))
    return invite
