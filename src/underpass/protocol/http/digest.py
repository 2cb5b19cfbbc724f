"""A client's answers to an upstream proxy's challenges: Basic and Digest (RFC 7617, RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from underpass.errors import Failure, RemoteProtocolError
from underpass.protocol.http.fields import TOKEN

# Best first. Both are in every Digest proxy: squid knows MD5 alone.
_ALGORITHMS = {"sha-256": hashlib.sha256, "md5": hashlib.md5}
# A scheme alone, with a token68 (as NTLM and Negotiate have), or with parameters to follow.
_SCHEME = re.compile(
    rb"[ ,]*(%s)(?: +([A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|$))|[ \t]*(?=,)| +|$)" % TOKEN
)
# Bytes that are not UTF-8 are said back, and hashed, as they came.
_AS_THEY_CAME = "surrogateescape"
_PARAMETER = re.compile(
    rb"[ ,]*([A-Za-z0-9*_-]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))[ \t]*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password for an upstream proxy."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What an answer is bound to: the method and the target as they stand in the request line."""

    method: str
    uri: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: a scheme in lower case, and its parameters or its one token."""

    scheme: str
    parameters: dict[str, str]
    token: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether the login was right and only the nonce too old (RFC 7616 3.3)."""
        return self.parameters.get("stale", "").lower() == "true"


def parse_challenges(values: Sequence[bytes]) -> list[Challenge]:
    """Parse the values of Proxy-Authenticate; several challenges may share one field.

    Raises `RemoteProtocolError` (UPSTREAM_PROTOCOL) for what is no list of challenges.
    """
    return [challenge for value in values for challenge in _parse(value)]


def _parse(value: bytes) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while at < len(value):
        parameter = _PARAMETER.match(value, at) if found else None
        if parameter is not None:
            name, quoted, token = parameter.groups()
            text = re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else token
            found[-1].parameters[name.decode("ascii").lower()] = text.decode("utf-8", _AS_THEY_CAME)
            at = parameter.end()
            continue
        scheme = _SCHEME.match(value, at)
        if scheme is None:
            raise RemoteProtocolError("malformed challenge", Failure.UPSTREAM_PROTOCOL)
        token = (scheme[2] or b"").decode("ascii")
        found.append(Challenge(scheme[1].decode("ascii").lower(), {}, token))
        at = scheme.end()
    return found


class Answerer:
    """Answers the challenges of one upstream proxy, and counts the uses of its nonces."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._challenge: Challenge | None = None
        self._uses = 0

    @property
    def is_challenged(self) -> bool:
        """Whether there is a challenge to answer."""
        return self._challenge is not None

    def take(self, challenges: Sequence[Challenge]) -> Challenge | None:
        """Choose the best challenge that can be answered, and answer it from now on."""
        ranked = [(rank, c) for c in challenges if (rank := _rank(c)) is not None]
        before = self._challenge
        self._challenge = min(ranked, key=lambda pair: pair[0])[1] if ranked else None
        if _nonce(before) != _nonce(self._challenge):
            self._uses = 0
        return self._challenge

    def answer(self, request: Request, cnonce: str) -> bytes | None:
        """The value of Proxy-Authorization for `request`; None before any challenge."""
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            login = f"{self._login.user}:{self._login.password}"
            return b"Basic " + base64.b64encode(login.encode("utf-8"))
        self._uses += 1
        return _digest(self._challenge.parameters, self._login, request, (cnonce, self._uses))


def _nonce(challenge: Challenge | None) -> str | None:
    return challenge.parameters.get("nonce") if challenge is not None else None


def _rank(challenge: Challenge) -> int | None:
    """0 is best; None can't be answered."""
    if challenge.scheme == "basic":
        return len(_ALGORITHMS)
    parameters = challenge.parameters
    algorithm = _algorithm(parameters)[0]
    qop = parameters.get("qop")
    plain = qop is None or "auth" in [option.strip() for option in qop.lower().split(",")]
    if challenge.scheme != "digest" or algorithm not in _ALGORITHMS or not plain:
        return None
    if not {"realm", "nonce"} <= parameters.keys():
        return None
    return list(_ALGORITHMS).index(algorithm)


def _algorithm(parameters: dict[str, str]) -> tuple[str, bool]:
    """The algorithm, and whether it is of the session kind."""
    name = parameters.get("algorithm", "MD5").lower()
    return name.removesuffix("-sess"), name.endswith("-sess")


def _digest(
    parameters: dict[str, str], login: Login, request: Request, use: tuple[str, int]
) -> bytes:
    """RFC 7616 3.4.1; without qop the form of RFC 2069."""
    algorithm, is_session = _algorithm(parameters)
    realm, nonce = parameters["realm"], parameters["nonce"]
    cnonce, count = use

    def hashed(*parts: str) -> str:
        return _ALGORITHMS[algorithm](":".join(parts).encode("utf-8", _AS_THEY_CAME)).hexdigest()

    secret = hashed(login.user, realm, login.password)
    if is_session:
        secret = hashed(secret, nonce, cnonce)
    what = hashed(request.method, request.uri)
    fields = {"username": login.user, "realm": realm, "nonce": nonce, "uri": request.uri}
    bare = {"algorithm": parameters["algorithm"]} if "algorithm" in parameters else {}
    if "qop" in parameters:
        nc = f"{count:08x}"
        fields["response"] = hashed(secret, nonce, nc, cnonce, "auth", what)
        fields["cnonce"] = cnonce
        bare |= {"qop": "auth", "nc": nc}
    else:
        fields["response"] = hashed(secret, nonce, what)
    if "opaque" in parameters:
        fields["opaque"] = parameters["opaque"]
    quoted = [f'{name}="{_escape(value)}"' for name, value in fields.items()]
    text = ", ".join([*quoted, *(f"{name}={value}" for name, value in bare.items())])
    return b"Digest " + text.encode("utf-8", _AS_THEY_CAME)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
