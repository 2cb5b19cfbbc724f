"""The login to an upstream proxy, as the requests over one stream try it."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex

from underpass.errors import DialError, Failure
from underpass.outbound.account import Account
from underpass.outbound.bound_login import SCHEMES, BoundLogin
from underpass.protocol.http.digest import Answerer, Challenge, Request, parse_challenges
from underpass.protocol.http.head import RequestHead, ResponseHead

# A login is tried so often for one request: again where only its nonce was too old, or where it
# was good before, no more, as further failures could lock an account.
MAX_TRIES = 2

# Requests that one answer may cost, with the legs of a login that is bound to its stream: one
# without, three legs, and the same again where the proxy closed the stream or changed its mind.
MAX_REQUESTS = 8

# These say the same again to the same challenge.
SAME_WORDS = ("basic", "ntlm")

AUTHENTICATION_REQUIRED = 407

NO_LOGIN = "it wants a login: name the user in its URL, as in http://USER@HOST:PORT, and a password"
NO_LOGIN_OR_TICKETS = f"{NO_LOGIN}; or install underpass[kerberos], to use the system's tickets"
WRONG_LOGIN = "the user or the password is wrong"


class LoginTries:
    """Adds the login to the requests of one stream, each time that one is sent.

    `account` is what all streams know together; None where there is no login.
    """

    def __init__(self, account: Account | None) -> None:
        self._account = account if account is not None and account.can_answer else None
        self._bound: BoundLogin | None = None
        # Digest with a nonce that is this stream's own.
        self._own: Answerer | None = None
        # That one is to be asked for, by a request that says no login.
        self._asks_own = False
        self._is_sent = False
        self._has_passed = False
        self._has_turn = False
        self._refusals = 0
        self._requests = 0

    @property
    def may_repeat(self) -> bool:
        """Whether a refusal could lead to another try."""
        return self._account is not None

    @property
    def says_nothing(self) -> bool:
        """Whether requests carry no login: there is none, or the proxy has let one pass without."""
        return self._account is None or (self._account.lets_pass and self._bound is None)

    @property
    def must_rehearse(self) -> bool:
        """Whether the next request carries a first leg, which no proxy takes for a login yet."""
        return self._bound is not None and self._bound.is_first_leg

    @property
    def is_doubtful(self) -> bool:
        """Whether the proxy may well refuse the next request for its login.

        Not where it let one pass already, and not with what it takes each time: Basic that was
        good, a nonce that nobody else uses, the last leg of a login that was good.
        """
        account = self._account
        if account is None:
            return False
        if self.must_rehearse:
            return True
        if self._has_passed or account.lets_pass:
            return False
        if not account.is_proven:
            return True
        return self._bound is None and self._own is None and account.scheme != "basic"

    async def begin(self, *, for_long: bool = False) -> None:
        """A new stream was opened: what was bound to the one before is void. Raises `DialError`.

        `for_long`: a request with a long body is to go over it. By Digest it has a nonce of its
        own, as others may use up the one of all, or overtake it.
        """
        self._end_turn()
        self._is_sent = False
        self._bound = None
        account = self._account
        if account is None:
            return
        account.check()
        self._bound = await account.begin()
        is_digest = account.is_proven and account.scheme == "digest"
        self._asks_own = for_long and is_digest and self._own is None
        if self._bound is None and account.answers_unasked and not self._asks_own:
            await self._take_turn(account)

    def addressed(self, head: RequestHead) -> RequestHead:
        """`head` with Proxy-Authorization, where the proxy has told what it wants."""
        if self._account is None or self._asks_own:
            return head
        if self._bound is not None:
            answer = self._bound.answer()
        else:
            request = Request(head.method.decode("ascii"), head.target.decode("ascii"))
            own = self._own
            answer = own.answer(request, token_hex(16)) if own else self._account.answer(request)
        if answer is None:
            return head
        self._is_sent = True
        fields = head.fields.adding(b"Proxy-Authorization", answer)
        return RequestHead(head.method, head.target, head.version, fields)

    async def must_repeat(self, head: ResponseHead) -> bool:
        """Whether `head` is a 407 that may be answered. Raises `DialError` where it may not.

        Raises `RemoteProtocolError` (UPSTREAM_PROTOCOL) for a challenge that can't be read.
        """
        if head.status != AUTHENTICATION_REQUIRED:
            self._succeed()
            return False
        self._requests += 1
        if self._account is None:
            takes_tickets = any(c.scheme == "negotiate" for c in _challenges_of(head))
            raise refused(head, NO_LOGIN_OR_TICKETS if takes_tickets else NO_LOGIN)
        if self._requests >= MAX_REQUESTS:
            raise refused(head)
        challenges = _challenges_of(head)
        if not await self._goes_on(challenges):
            await self._start(self._account, head, challenges)
        return True

    def _succeed(self) -> None:
        if self._account is not None:
            if self._is_sent:
                self._account.accepted()
            else:
                self._account.passed()
        self._has_passed = True
        self._is_sent = self._has_turn = False
        self._refusals = self._requests = 0

    def _end_turn(self) -> None:
        if self._has_turn and self._account is not None:
            self._has_turn = False
            self._account.let_go()

    async def _goes_on(self, challenges: Sequence[Challenge]) -> bool:
        """Whether the login under way on this stream has been asked for its next leg."""
        bound = self._bound
        if bound is None or not self._is_sent or self._account is None:
            return False
        tokens = [c.token for c in challenges if c.scheme == bound.scheme and c.token]
        if not tokens:
            return False
        # This leg proves the password, the one before did not.
        if not self._has_turn:
            await self._take_turn(self._account)
        try:
            await bound.take(tokens[0])
        except DialError:
            # Nothing was shown for that.
            self._end_turn()
            raise
        return True

    async def _take_turn(self, account: Account) -> None:
        await account.turn()
        self._has_turn = True

    async def _start(
        self, account: Account, head: ResponseHead, challenges: Sequence[Challenge]
    ) -> None:
        """Take a refusal for what it is, and begin the login that is to be tried next."""
        was_proven = account.is_proven
        was_refused = self._note(account, challenges)
        wrong = WRONG_LOGIN if self._refusals else ""
        problem = account.problem or (wrong if account.has_login else NO_LOGIN)
        if self._refusals >= MAX_TRIES:
            raise refused(head, problem)
        if was_refused:
            account.check()
        if is_stale(challenges):
            account.forget_nonce()
        if is_stale(challenges) or self._is_given_own(challenges):
            self._own = account.own_answerer(challenges)
            await self._take_turn(account)
            return
        self._own = None
        scheme = await self._choose(account, challenges)
        repeats = scheme in SAME_WORDS and not (was_proven or was_refused == "negotiate")
        if scheme is None or (self._refusals and repeats):
            raise refused(head, account.problem or problem)
        if self._bound is None:
            await self._take_turn(account)

    def _is_given_own(self, challenges: Sequence[Challenge]) -> bool:
        """Whether the nonce is there that was asked for."""
        asked, self._asks_own = self._asks_own, False
        return asked and any(challenge.scheme == "digest" for challenge in challenges)

    async def _choose(self, account: Account, challenges: Sequence[Challenge]) -> str | None:
        """The best scheme that can be used, begun where it is bound to the stream."""
        while True:
            scheme = account.take(challenges)
            # One that turns out not to be usable is not offered again.
            self._bound = await account.begin()
            if self._bound is not None or scheme not in SCHEMES:
                return scheme

    def _note(self, account: Account, challenges: Sequence[Challenge]) -> str:
        """Count a refusal; the scheme that was refused, empty where only a nonce was too old."""
        if not self._is_sent:
            return ""
        self._is_sent = False
        self._refusals += 1
        if is_stale(challenges):
            self._end_turn()
            return ""
        self._has_turn = False
        account.refused()
        scheme = self._bound.scheme if self._bound is not None else "other"
        if scheme == "negotiate":
            # Its tickets may be of no use here where the password is good.
            account.exclude_refused(scheme)
        return scheme


def _challenges_of(head: ResponseHead) -> list[Challenge]:
    return parse_challenges(head.fields.get_all(b"proxy-authenticate"))


def is_stale(challenges: Sequence[Challenge]) -> bool:
    """Whether the login was right, and only the nonce too old."""
    return any(c.scheme == "digest" and c.is_stale for c in challenges)


def refused(head: ResponseHead, problem: str = "") -> DialError:
    """What an upstream proxy's refusal is to our client, never the same status."""
    reason = head.fields.get(b"proxy-status") or head.reason
    details = f"the upstream proxy said {head.status} {reason.decode('latin-1')}".rstrip()
    if problem:
        details += f" ({problem})"
    return DialError(Failure.UPSTREAM_REFUSED, details, parameters={"received-status": head.status})
