"""`Members`: who holds a client's key, asked off the event loop and remembered until it changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from underpass.server.enrolment import CodeFault, digest_of
from underpass.server.user_store import KeyStore, User

# SQLite takes one writer at a time anyway, and a look-up takes a fraction of a millisecond.
THREADS = 2

# Each below a KiB; the one not asked for longest makes room.
MAX_REMEMBERED = 10_000

Found = TypeVar("Found")


class Members:
    """See the module. Every call raises `UserError` where the store fails."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="members")
        self._version: object = None
        self._remembered: OrderedDict[bytes, User] = OrderedDict()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    def version(self) -> object:
        """Something that differs after every change of the store. Quick."""
        return self._store.version()

    def remembered(self, public_key: bytes) -> User | None:
        """The user of this key, as the store is now, where it was asked for since its last change.

        Quick; None says nothing.
        """
        version = self._store.version()
        if version != self._version:
            self._version = version
            self._remembered.clear()
        user = self._remembered.get(public_key)
        if user is not None:
            self._remembered.move_to_end(public_key)
        return user

    async def of_key(self, public_key: bytes) -> User | None:
        """The user that has enrolled with this key, as the store is now."""
        user = self.remembered(public_key)
        if user is not None:
            return user
        version = self._version
        user = await self._in_thread(lambda: self._store.user_of_key(public_key))
        # What was read before a change that has been noticed meanwhile is not to be remembered.
        if user is not None and version == self._version:
            self._remember(public_key, user)
        return user

    async def owners(self) -> dict[bytes, str]:
        """All keys that are enrolled, with the names of their users, as the store is now."""
        return await self._in_thread(self._store.key_owners)

    async def enrol(self, code: bytes, public_key: bytes, now: float) -> User | CodeFault:
        """Give a key to the user whom the code invites; `now` in seconds since 1970."""
        digest = digest_of(code)
        return await self._in_thread(lambda: self._store.enrol(digest, public_key, int(now)))

    def _remember(self, public_key: bytes, user: User) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        self._remembered[public_key] = user

    async def _in_thread(self, call: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
