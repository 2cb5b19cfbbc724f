"""`UpstreamRoute`: hands a plain request to an upstream HTTP proxy, in absolute-form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from underpass.errors import DialError, RemoteProtocolError
from underpass.net.route import Route
from underpass.net.stream import Stream
from underpass.outbound.login import LoginTries
from underpass.protocol.http.head import RequestHead, ResponseHead
from underpass.protocol.http.target import AbsoluteTarget


class UpstreamRoute(Route):
    """The upstream proxy opens the origin, and forwards the request (RFC 9112 3.2.2).

    Many proxies let CONNECT through to port 443 alone: a plain request does not ask for it.
    `reach` opens a stream to the proxy.
    """

    def __init__(self, reach: Callable[[], Awaitable[Stream]], login: LoginTries) -> None:
        self._reach = reach
        self._login = login

    @property
    def may_repeat(self) -> bool:
        return self._login.may_repeat

    @property
    def must_rehearse(self) -> bool:
        return self._login.must_rehearse

    async def open(self) -> Stream:
        stream = await self._reach()
        try:
            await self._login.begin()
        except BaseException:
            stream.abort()
            raise
        return stream

    def addressed(self, head: RequestHead, target: AbsoluteTarget) -> RequestHead:
        absolute = RequestHead(head.method, target.absolute_form, head.version, head.fields)
        return self._login.addressed(absolute)

    async def must_repeat(self, head: ResponseHead) -> bool:
        try:
            return await self._login.must_repeat(head)
        except RemoteProtocolError as error:
            raise DialError(error.failure, f"upstream proxy: {error.reason}") from error
