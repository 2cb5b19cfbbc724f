"""`UpstreamRoute`: hands a plain request to an upstream HTTP proxy, in absolute-form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from underpass.errors import DialError, Failure, RemoteProtocolError
from underpass.net.route import Route
from underpass.net.stream import Stream
from underpass.outbound.login import MAX_REQUESTS, LoginTries
from underpass.outbound.upstream import Rehearsed
from underpass.protocol.http.head import RequestHead, ResponseHead
from underpass.protocol.http.target import AbsoluteTarget

Rehearse = Callable[[Stream, LoginTries], Awaitable[Rehearsed]]

# With what a login may cost, more streams than that are a proxy that goes in circles.
MAX_STREAMS = 2 * MAX_REQUESTS


class UpstreamRoute(Route):
    """The upstream proxy opens the origin, and forwards the request (RFC 9112 3.2.2).

    Many proxies let CONNECT through to port 443 alone: a plain request does not ask for it.
    `reach` opens a stream to the proxy. With `rehearse`, a login that takes several requests over
    one stream has said all but its last leg when `open` returns: whoever sends the request sends
    each on a stream of its own. Before a long body the same is done where it is only to be learnt
    what the proxy wants. Without it, they keep to one stream and heed `must_rehearse`.
    """

    def __init__(
        self,
        reach: Callable[[], Awaitable[Stream]],
        login: LoginTries,
        rehearse: Rehearse | None = None,
    ) -> None:
        self._reach = reach
        self._login = login
        self._rehearse = rehearse
        self._streams = 0

    @property
    def may_repeat(self) -> bool:
        return self._login.may_repeat

    @property
    def says_nothing(self) -> bool:
        return self._login.says_nothing

    @property
    def must_rehearse(self) -> bool:
        return self._login.must_rehearse

    @property
    def is_doubtful(self) -> bool:
        return self._login.is_doubtful

    async def open(self, *, for_long: bool = False) -> Stream:
        while self._streams < MAX_STREAMS:
            self._streams += 1
            stream = await self._reach()
            try:
                await self._login.begin(for_long=for_long)
                if await self._has_settled(stream, for_long=for_long):
                    return stream
            except BaseException:
                stream.abort()
                raise
            stream.abort()
        details = "the upstream proxy asks for a login again and again"
        raise DialError(Failure.UPSTREAM_REFUSED, details)

    async def _has_settled(self, stream: Stream, *, for_long: bool) -> bool:
        """Say what the request is not to be sent with; whether the stream goes on after it."""
        login = self._login
        # Ends: the login counts its requests, and is no more in doubt once one has passed.
        while self._rehearse is not None:
            is_leg = login.must_rehearse
            if not (is_leg or (for_long and login.is_doubtful)):
                break
            rehearsed = await self._rehearse(stream, login)
            if is_leg and not rehearsed.login_goes_on:
                # It lets us pass as we are: as it may know this machine by now.
                self._rehearse = None
            if not rehearsed.stream_goes_on:
                return False
        return True

    def addressed(self, head: RequestHead, target: AbsoluteTarget) -> RequestHead:
        absolute = RequestHead(head.method, target.absolute_form, head.version, head.fields)
        return self._login.addressed(absolute)

    async def must_repeat(self, head: ResponseHead) -> bool:
        try:
            return await self._login.must_repeat(head)
        except RemoteProtocolError as error:
            raise DialError(error.failure, f"upstream proxy: {error.reason}") from error
