"""The login to an upstream proxy, as one request tries it."""

from __future__ import annotations

import secrets

from underpass.errors import DialError, Failure
from underpass.protocol.http.digest import Answerer, Request, parse_challenges
from underpass.protocol.http.head import RequestHead, ResponseHead

# A login is tried so often for one request: again where only its nonce was too old, no more, as
# further failures could lock an account.
MAX_TRIES = 2

AUTHENTICATION_REQUIRED = 407


class LoginTries:
    """Adds the login to one request, each time that it is sent.

    What was challenged once is answered unasked the next time, by every request: `answerer` is
    theirs together. It is None where there is no login.
    """

    def __init__(self, answerer: Answerer | None) -> None:
        self._answerer = answerer
        self._is_sent = False
        self._refusals = 0

    @property
    def may_repeat(self) -> bool:
        """Whether a refusal could lead to another try."""
        return self._answerer is not None

    def addressed(self, head: RequestHead) -> RequestHead:
        """`head` with Proxy-Authorization, where the proxy has told what it wants."""
        if self._answerer is None:
            return head
        request = Request(head.method.decode("ascii"), head.target.decode("ascii"))
        answer = self._answerer.answer(request, secrets.token_hex(16))
        if answer is None:
            return head
        self._is_sent = True
        fields = head.fields.adding(b"Proxy-Authorization", answer)
        return RequestHead(head.method, head.target, head.version, fields)

    def must_repeat(self, head: ResponseHead) -> bool:
        """Whether `head` is a 407 that may be answered. Raises `DialError` where it may not.

        Raises `RemoteProtocolError` (UPSTREAM_PROTOCOL) for a challenge that can't be read.
        """
        if head.status != AUTHENTICATION_REQUIRED:
            return False
        self._refusals += self._is_sent
        if self._answerer is None or self._refusals >= MAX_TRIES:
            raise refused(head)
        challenges = parse_challenges(head.fields.get_all(b"proxy-authenticate"))
        challenge = self._answerer.take(challenges)
        if challenge is None or (self._refusals and challenge.scheme == "basic"):
            # The same user and password in the same words would be refused again.
            raise refused(head)
        return True


def refused(head: ResponseHead) -> DialError:
    """What an upstream proxy's refusal is to our client, never the same status."""
    reason = head.fields.get(b"proxy-status") or head.reason
    details = f"the upstream proxy said {head.status} {reason.decode('latin-1')}".rstrip()
    return DialError(Failure.UPSTREAM_REFUSED, details, parameters={"received-status": head.status})
