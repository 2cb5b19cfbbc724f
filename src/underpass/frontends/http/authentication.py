"""Who a client is: the interface that a user store implements, and the challenges it offers."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from underpass.access import Principal
from underpass.protocol.http.credentials import Basic, Bearer

# Who asks where nobody has to say who they are. The parentheses can't stand in a user's name.
ANONYMOUS = Principal("(anonymous)")


class Throttled(Exception):  # noqa: N818 - reads as what happened
    """Too many failures from this client; it may try again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"retry after {retry_after:.0f} s")
        self.retry_after = retry_after


class Authenticator(Protocol):
    """Finds out who a client is."""

    @property
    def challenges(self) -> tuple[bytes, ...]:
        """The values of Proxy-Authenticate, best first (RFC 9110 11.7.1)."""

    @property
    def binds_connection(self) -> bool:
        """True where a scheme goes on over the connection that got the 407 (NTLM, Negotiate)."""

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """Return who holds `credentials`, None where nobody does.

        `client` is the address it comes from. Raises `Throttled` after too many failures.
        """


@runtime_checkable
class RememberingAuthenticator(Authenticator, Protocol):
    """One that can tell at once of whom it has found out shortly before: simple requests of those
    need no task.
    """

    def known(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """Return whom `authenticate` would return now, where it needs to wait for nothing.

        None where it would wait, refuse or raise: then it is asked.
        """
