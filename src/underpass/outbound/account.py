"""`Account`: our login to one upstream proxy, as all streams to it share it.

It chooses the scheme, remembers what was challenged, and sees to it that a wrong password locks
nobody out: until a login has been accepted, as many are under way at once as may still be refused,
and after `MAX_REFUSALS` in a row none is tried any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Callable, Sequence

from underpass.errors import DialError, Failure
from underpass.outbound.bound_login import SCHEMES, BoundLogin, has_tickets
from underpass.protocol.http.digest import Answerer, Challenge, Login, Request

# Companies lock an account after 3 to 10 failures; others of the same user count too.
MAX_REFUSALS = 3

# A login that nobody answered for so long is taken for one that never arrived.
VERDICT_SECONDS = 30.0


# A ticket may have expired, or its server be out of reach, and be had again after this.
EXCLUDED_SECONDS = 60.0


class Account:
    """See the module. `login` None: what the system's tickets can do. `host` is the proxy's."""

    def __init__(
        self, login: Login | None, host: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._login = login
        self._host = host
        self._now = now
        self._answerer = Answerer(login) if login is not None else None
        self._bound_scheme: str | None = None
        # Until when a scheme is not used: it can't be from here, or was refused; and why the last.
        self._excluded = {} if login or has_tickets() else dict.fromkeys(SCHEMES, math.inf)
        self._problem = ""
        self._accepted: set[str | None] = set()
        self._refusals = 0
        self._under_way: list[float] = []
        self._changed = asyncio.Event()
        self.is_proven = False
        # What was chosen last; and whether the proxy wanted none of it, as far as is known.
        self.scheme: str | None = None
        self.lets_pass = False

    @property
    def can_answer(self) -> bool:
        """Whether any challenge could be answered."""
        return self._login is not None or self._excluded.get("negotiate") != math.inf

    @property
    def has_login(self) -> bool:
        """Whether there is a user and a password; else there may be tickets."""
        return self._login is not None

    @property
    def answers_unasked(self) -> bool:
        """Whether requests carry a login by Basic or Digest without being asked for it."""
        answerer = self._answerer
        return answerer is not None and answerer.is_challenged and self._bound_scheme is None

    @property
    def problem(self) -> str:
        """Why a better scheme was not used; empty where none was missed."""
        return self._problem

    # --- schemes

    def take(self, challenges: Sequence[Challenge]) -> str | None:
        """Choose the best scheme of those offered that can be answered; None: there is none."""
        offered = {challenge.scheme for challenge in challenges}
        now = self._now()
        usable = [s for s in SCHEMES if s in offered and self._excluded.get(s, now) <= now]
        # Tickets alone are no login for NTLM.
        usable = [s for s in usable if self._login is not None or s == "negotiate"]
        self._bound_scheme = self.scheme = usable[0] if usable else None
        self.lets_pass = False
        if usable or self._answerer is None:
            return self.scheme
        challenge = self._answerer.take(challenges)
        self.scheme = challenge.scheme if challenge is not None else None
        return self.scheme

    async def begin(self) -> BoundLogin | None:
        """Begin a login on a new stream, where the scheme is bound to it.

        None for other schemes, and where it turns out that it can't be used from here.
        """
        scheme = self._bound_scheme
        if scheme is None:
            return None
        try:
            return await BoundLogin.begin(scheme, self._login, self._host)
        except DialError as error:
            self.exclude(scheme, error.details)
            return None

    def exclude(self, scheme: str, why: str) -> None:
        """Do not use `scheme` for a while."""
        self._excluded[scheme] = self._now() + EXCLUDED_SECONDS
        self._problem = why
        if self._bound_scheme == scheme:
            self._bound_scheme = None

    def exclude_refused(self, scheme: str) -> None:
        """The proxy refused a login by `scheme`: for good, unless one was accepted before."""
        self.exclude(scheme, f"the proxy took no login by {scheme}")
        if scheme not in self._accepted:
            self._excluded[scheme] = math.inf

    def answer(self, request: Request) -> bytes | None:
        """The value of Proxy-Authorization by Basic or Digest; None before a challenge."""
        if self._answerer is None or self._bound_scheme is not None:
            return None
        return self._answerer.answer(request, secrets.token_hex(16))

    def forget_nonce(self) -> None:
        """The nonce of all is too old: they ask for one."""
        if self._login is not None:
            self._answerer = Answerer(self._login)

    def own_answerer(self, challenges: Sequence[Challenge]) -> Answerer | None:
        """What one stream answers with, with a nonce that is its own.

        Proxies want a nonce's uses in their order (squid does), which several streams at once
        can't keep to.
        """
        if self._login is None:
            return None
        own = Answerer(self._login)
        own.take(challenges)
        return own

    # --- refusals

    def check(self) -> None:
        """Raise `DialError` where the login is not to be tried any more."""
        if self._refusals >= MAX_REFUSALS:
            details = (
                f"the proxy {self._host} refused the login {self._refusals} times; it is not tried "
                "again, so that the account is not locked: correct the user or the password"
            )
            raise DialError(Failure.UPSTREAM_REFUSED, details)

    async def turn(self) -> None:
        """Wait until a login may be tried; it is then under way until `accepted` or `refused`.

        Raises `DialError` as `check` does.
        """
        while True:
            self.check()
            now = self._now()
            self._under_way = [at for at in self._under_way if now - at < VERDICT_SECONDS]
            if self.is_proven:
                return
            if self._refusals + len(self._under_way) < MAX_REFUSALS:
                self._under_way.append(now)
                return
            left = self._under_way[0] + VERDICT_SECONDS - now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def passed(self) -> None:
        """The proxy let a request pass without a login; one over a stream that had it, perhaps."""
        self.lets_pass = self._bound_scheme is None and not self.answers_unasked

    def accepted(self) -> None:
        """The proxy let a login in."""
        if self.is_proven:
            return
        self._accepted.add(self._bound_scheme)
        self._refusals = 0
        self.is_proven = True
        self._under_way.clear()
        self._tell_change()

    def refused(self) -> None:
        """The proxy refused a login."""
        self._refusals += 1
        self.is_proven = False
        self.let_go()

    def let_go(self) -> None:
        """A login that was under way will get no verdict, or has got one."""
        del self._under_way[:1]
        self._tell_change()

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
