"""What pyspnego makes tokens of: a password by NTLM alone, or the system's tickets alone.

Loaded by who needs it, as pyspnego is large.
"""

from __future__ import annotations

import spnego

from underpass.protocol.http.digest import Login

# Tickets are for a service by this name in capitals, which Kerberos tells from small ones
# (RFC 4559 section 4).
SERVICE = "HTTP"


class Tickets(spnego.CredentialCache):
    """The Kerberos tickets of whoever runs this."""

    @property
    def supported_protocols(self) -> list[str]:
        """Kerberos alone: what NTLM keeps in a file is no ticket."""
        return ["kerberos"]


def token_context(scheme: str, login: Login | None, host: str) -> spnego.ContextProxy:
    """The tokens of one login to the proxy on `host`; None: with the system's tickets.

    Raises what pyspnego raises.
    """
    if login is None:
        return spnego.client(Tickets(), None, host, SERVICE, protocol=scheme)
    # Not as two texts: a password of a certain form would be taken for a hash.
    password = spnego.Password(login.user, login.password)
    context = spnego.client(password, None, host, SERVICE, protocol=scheme)
    # Negotiate would show the password to the tickets' server first, where there is one: on each
    # new stream, and for an account that may be locked one failure more where it is wrong. It goes
    # by what this method says; options that leave Kerberos out it has none.
    context.available_protocols = _ntlm_alone  # type: ignore[method-assign]  # of this one alone
    return context


def _ntlm_alone(options: spnego.NegotiateOptions | None = None) -> list[str]:
    return ["ntlm", "negotiate"]
