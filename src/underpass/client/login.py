"""The one login that clients of exposed front ends must give."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from underpass.access import Principal
from underpass.errors import ConfigurationError
from underpass.frontends.socks import SocksLogin
from underpass.protocol.http.credentials import Basic, Bearer


@dataclass(frozen=True, slots=True)
class ClientLogin:
    """An `Authenticator` with one user; for SOCKS, `socks` is the same."""

    user: str
    password: str = field(repr=False)
    challenges = (b'Basic realm="underpass"',)
    binds_connection = False

    @classmethod
    def parse(cls, text: str) -> ClientLogin:
        """Parse ``USER:PASSWORD``. Raises `ConfigurationError`, never with a piece of it."""
        user, colon, password = text.partition(":")
        if not colon or not user or not password:
            raise ConfigurationError("login_file: expected one line, USER:PASSWORD")
        if len(user.encode()) > 255 or len(password.encode()) > 255:
            raise ConfigurationError("login_file: SOCKS takes 255 bytes of user and password each")
        return cls(user, password)

    @property
    def socks(self) -> SocksLogin:
        """The same for a SOCKS front end."""
        return SocksLogin(self.user, self.password)

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """The user, for the right credentials, in a time that tells nothing."""
        if not isinstance(credentials, Basic):
            return None
        right_user = hmac.compare_digest(credentials.user.encode(), self.user.encode())
        right = hmac.compare_digest(credentials.password.encode(), self.password.encode())
        return Principal(self.user) if right_user and right else None
