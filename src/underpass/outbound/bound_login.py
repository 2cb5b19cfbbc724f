"""`BoundLogin`: one login by NTLM or Negotiate, which is bound to the stream it is made on.

It takes several requests over the same stream (RFC 4559 section 4): our token, the proxy's, ours.
What follows on that stream is logged in and says nothing more of it. pyspnego does the tokens; it
is loaded by who needs it, as it is large.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import importlib.util
import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from underpass.errors import DialError, Failure
from underpass.protocol.http.digest import Login

if TYPE_CHECKING:
    import spnego

T = TypeVar("T")

SCHEMES = ("negotiate", "ntlm")
"""The schemes that are bound to a stream, best first."""

# A ticket is asked of a server of the company's, which may be far or gone.
TOKEN_SECONDS = 10.0

# Longer than the largest ticket that Windows makes (64 KiB, in base64): no token of a proxy is.
MAX_TOKEN = 96 * 1024

TICKET_LIBRARIES = ("gssapi", "krb5")
NO_TICKETS = "its tickets need libraries: pip install 'underpass[kerberos]'"

# Of an error's text, as much as fits on a line.
_SHOWN = 160
# Where the libraries for tickets say what it was, below layers of what that belongs to.
_REASON = re.compile(r"Minor \(\d+\): (.+?)(?:, Context: |$)", re.DOTALL)


def has_tickets() -> bool:
    """Whether this system could log in without a password: its libraries for tickets are there."""
    return all(importlib.util.find_spec(name) is not None for name in TICKET_LIBRARIES)


class BoundLogin:
    """One login. `begin` makes it; then `answer` is sent, and `take` given what came, in turn."""

    def __init__(self, scheme: str, context: spnego.ContextProxy, *, is_ntlm: bool) -> None:
        self.scheme = scheme
        self._context = context
        self._is_ntlm = is_ntlm
        self._answer: bytes | None = None
        self._legs = 0

    @classmethod
    async def begin(cls, scheme: str, login: Login | None, host: str) -> BoundLogin:
        """Begin a login to the proxy on `host`; None: with the system's tickets.

        Raises `DialError` where this system can't log in so.
        """
        context = await _off_loop(scheme, lambda: _context(scheme, login, host))
        bound = cls(scheme, context, is_ntlm=login is not None)
        await bound._step(None)
        return bound

    @property
    def is_first_leg(self) -> bool:
        """Whether `answer` is next the first of several legs: with a ticket there is but one."""
        return self._is_ntlm and self._legs == 1 and self._answer is not None

    async def take(self, token: str) -> None:
        """Take the proxy's token, in base64. Raises `DialError` for one that does not fit."""
        if len(token) > MAX_TOKEN:
            raise _unable(self.scheme, "a token longer than any")
        try:
            await self._step(base64.b64decode(token, validate=True))
        except binascii.Error:
            raise _unable(self.scheme, "a token that is no base64") from None

    def answer(self) -> bytes | None:
        """The value of Proxy-Authorization for the next request; None once all is said."""
        token, self._answer = self._answer, None
        if token is None:
            return None
        return self.scheme.title().encode("ascii").replace(b"Ntlm", b"NTLM") + b" " + token

    async def _step(self, token: bytes | None) -> None:
        answer = await _off_loop(self.scheme, lambda: self._context.step(token))
        self._answer = base64.b64encode(answer) if answer else None
        self._legs += 1


def _context(scheme: str, login: Login | None, host: str) -> spnego.ContextProxy:
    if login is None and not has_tickets():
        raise _unable(scheme, NO_TICKETS)
    from underpass.outbound.token_credentials import token_context  # noqa: PLC0415 - pyspnego is large

    return token_context(scheme, login, host)


async def _off_loop(scheme: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread: a ticket is fetched over the network. Raises `DialError`."""
    try:
        async with asyncio.timeout(TOKEN_SECONDS):
            return await asyncio.to_thread(_translated, scheme, work)
    except TimeoutError:
        raise _unable(scheme, "nobody gives a ticket in time") from None


def _translated(scheme: str, work: Callable[[], T]) -> T:
    import spnego.exceptions  # noqa: PLC0415 - see above

    try:
        return work()
    except (
        spnego.exceptions.SpnegoError,
        # What its parsers raise for tokens that are none.
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        NotImplementedError,
        struct.error,
    ) as error:
        raise _unable(scheme, str(error)) from error


def _unable(scheme: str, why: str) -> DialError:
    reason = _REASON.search(why)
    said = reason[1] if reason is not None else why
    line = "".join(character if character.isprintable() else " " for character in said)[:_SHOWN]
    return DialError(Failure.UPSTREAM_REFUSED, f"no login by {scheme}: {line}")
