"""`BoundDesk`: a login that is bound to one TCP stream, as NTLM is (RFC 4559 section 4)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from underpass.protocol.http.head import RequestHead
from underpass.testing.middlebox.behaviour import Behaviour

if TYPE_CHECKING:
    import spnego

SCHEME = b"NTLM"


class BoundDesk:
    """One stream's login; it is forgotten after as many requests as the behaviour says."""

    def __init__(self) -> None:
        self._context: spnego.ContextProxy | None = None
        self._is_in = False
        self._served = 0

    def challenges(self, head: RequestHead, behaviour: Behaviour) -> list[bytes] | None:
        """None where the stream is logged in; else the values of Proxy-Authenticate."""
        token = _token(head)
        if token is not None:
            answer = self._step(token)
            if answer is not None:
                return [answer]
        if not self._is_in:
            return [SCHEME]
        self._served += 1
        if behaviour.expire_after and self._served > behaviour.expire_after:
            self._is_in, self._served = False, 0
            return [SCHEME]
        return None

    def _step(self, token: bytes) -> bytes | None:
        """Take in the client's token; the answer, None when the login is complete."""
        # Large, and needed by this login alone.
        import spnego  # noqa: PLC0415 - see above
        import spnego.exceptions  # noqa: PLC0415 - see above

        if self._context is None:
            self._context = spnego.server("box", "http", protocol="ntlm")
        try:
            answer = self._context.step(token)
        except spnego.exceptions.SpnegoError:
            self._context, self._is_in = None, False
            return SCHEME
        if self._context.complete:
            self._context, self._is_in, self._served = None, True, 0
            return None
        return SCHEME + b" " + base64.b64encode(answer or b"")


def _token(head: RequestHead) -> bytes | None:
    scheme, _, text = (head.fields.get(b"proxy-authorization") or b"").partition(b" ")
    if scheme.upper() != SCHEME:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
