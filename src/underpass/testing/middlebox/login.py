"""The login that a middlebox asks for: Basic and Digest, as proxies do (RFC 7617, RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import random
import re

from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import RequestHead
from underpass.testing.middlebox.behaviour import Behaviour, Login

_PARAMETER = re.compile(r'([a-z]+)=(?:"([^"]*)"|([^\s,"]+))')
REALM = "box"


class LoginDesk:
    """Checks logins, and forgets them after as many requests as the behaviour says."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._nonce = self._new_nonce()
        self._served = 0

    def _new_nonce(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def challenges(self, head: RequestHead, behaviour: Behaviour) -> list[bytes] | None:
        """None where `head` holds the right login; else the values of Proxy-Authenticate."""
        if behaviour.login is Login.NONE:
            return None
        given = (head.fields.get(b"proxy-authorization") or b"").decode("latin-1")
        scheme, _, rest = given.partition(" ")
        if behaviour.login is Login.BASIC:
            return self._basic(scheme, rest, behaviour)
        return self._digest(head, scheme, dict(_parameters(rest)), behaviour)

    def _basic(self, scheme: str, rest: str, behaviour: Behaviour) -> list[bytes] | None:
        right = base64.b64encode(f"{behaviour.user}:{behaviour.password}".encode()).decode()
        if scheme.lower() == "basic" and rest.strip() == right and not self._expires(behaviour):
            return None
        return [f'Basic realm="{REALM}"'.encode()]

    def _digest(
        self, head: RequestHead, scheme: str, given: dict[str, str], behaviour: Behaviour
    ) -> list[bytes] | None:
        is_right = scheme.lower() == "digest" and given.get("response") == self._expected(
            head.method.decode("ascii"), given, behaviour
        )
        if is_right and given.get("nonce") == self._nonce and not self._expires(behaviour):
            return None
        stale = ", stale=true" if is_right else ""
        self._nonce = self._new_nonce()
        challenge = f'Digest realm="{REALM}", nonce="{self._nonce}", qop="auth", algorithm=SHA-256'
        return [f"{challenge}{stale}".encode()]

    def _expected(self, method: str, given: dict[str, str], behaviour: Behaviour) -> str:
        def hashed(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        secret = hashed(behaviour.user, REALM, behaviour.password)
        what = hashed(method, given.get("uri", ""))
        use = (given.get("nonce", ""), given.get("nc", ""), given.get("cnonce", ""))
        return hashed(secret, *use, "auth", what)

    def _expires(self, behaviour: Behaviour) -> bool:
        self._served += 1
        if behaviour.expire_after and self._served > behaviour.expire_after:
            self._served = 0
            return True
        return False


def challenge_fields(challenges: list[bytes]) -> Fields:
    """The fields of a 407."""
    return Fields([(b"Proxy-Authenticate", value) for value in challenges])


def _parameters(text: str) -> list[tuple[str, str]]:
    return [(name, quoted or bare) for name, quoted, bare in _PARAMETER.findall(text)]
