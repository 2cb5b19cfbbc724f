"""`StoreAuthenticator`: finds out who holds credentials, off the event loop and without hints.

- A password is checked by a slow hash, in a thread, a few at a time; an unknown user costs the
  same. So neither the answer nor its time says which names exist.
- What was right is remembered for a minute under a key that only this process has, and forgotten
  at once when the store changes: removing a user takes effect with the next request.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from underpass.access import Principal
from underpass.errors import UserError
from underpass.frontends.http.authentication import Throttled
from underpass.protocol.http.credentials import Basic, Bearer, basic_challenge, bearer_challenge
from underpass.server.passwords import COST, PasswordHash
from underpass.server.penalty import FailurePenalty
from underpass.server.user_store import User, UserStore

logger = logging.getLogger(__name__)

REALM = "underpass"

# Each hash takes 64 MiB and a core for a while: two leave the loop its time on small machines.
HASHES_AT_ONCE = 2
# Waiting for their turn, about two seconds' worth; further ones are told to come again.
HASHES_WAITING = 20
RETRY_SECONDS = 2.0

REMEMBER_SECONDS = 60.0
MAX_REMEMBERED = 10_000


class StoreAuthenticator:
    """Authenticates Basic and Bearer against a user store."""

    binds_connection = False
    challenges = (basic_challenge(REALM), bearer_challenge(REALM))

    def __init__(self, store: UserStore, cost: int = COST) -> None:
        self._store = store
        self._penalty = FailurePenalty()
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self._key = os.urandom(32)
        self._version: object = None
        self._remembered: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        # Checked in place of an unknown user's: nothing matches it.
        self._nobody = PasswordHash.of_nobody(cost)

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """Return who holds `credentials`; None for nobody, also when the store fails.

        Raises `Throttled` after too many failures from `client`, or under too much load.
        """
        now = asyncio.get_running_loop().time()
        if wait := self._penalty.wait(client, now):
            raise Throttled(wait)
        try:
            mark = self._mark(credentials)
            principal = self._recall(mark, now)
            if principal is None:
                principal = await self._check(credentials)
        except UserError as error:
            # A store that can't be read lets nobody in.
            logger.error("users: %s", error)
            return None
        if principal is None:
            self._penalty.failed(client, now)
            return None
        self._penalty.succeeded(client)
        self._remember(mark, principal, now)
        return principal

    def known(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """As `authenticate`, where that needs no thread and lets somebody in; else None."""
        now = asyncio.get_running_loop().time()
        if self._penalty.wait(client, now):
            return None
        try:
            principal = self._recall(self._mark(credentials), now)
        except UserError:
            return None
        if principal is not None:
            self._penalty.succeeded(client)
        return principal

    def _mark(self, credentials: Basic | Bearer) -> bytes:
        """What credentials are remembered by: useless outside this process."""
        if isinstance(credentials, Bearer):
            text = f"bearer\0{credentials.token}"
        else:
            text = f"basic\0{credentials.user}\0{credentials.password}"
        return hmac.digest(self._key, text.encode("utf-8"), "sha256")

    def _recall(self, mark: bytes, now: float) -> Principal | None:
        version = self._store.version()
        if version != self._version:
            self._version = version
            self._remembered.clear()
        principal, until = self._remembered.get(mark, (None, 0.0))
        return principal if now < until else None

    def _remember(self, mark: bytes, principal: Principal, now: float) -> None:
        if mark not in self._remembered and len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        _, until = self._remembered.get(mark, (principal, 0.0))
        if until <= now:
            self._remembered[mark] = (principal, now + REMEMBER_SECONDS)

    async def _check(self, credentials: Basic | Bearer) -> Principal | None:
        if self._waiting >= HASHES_AT_ONCE + HASHES_WAITING:
            raise Throttled(RETRY_SECONDS)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            user = await loop.run_in_executor(self._threads, self._find, credentials)
        finally:
            self._waiting -= 1
        return Principal(user.name, user.rules) if user is not None else None

    def _find(self, credentials: Basic | Bearer) -> User | None:
        """Find and check, in a thread."""
        if isinstance(credentials, Bearer):
            return self._store.user_of_token(credentials.token)
        user = self._store.user(credentials.user)
        known = user.password if user is not None else None
        matches = (known or self._nobody).matches(credentials.password)
        return user if matches and known is not None else None
