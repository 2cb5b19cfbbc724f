"""`Route`: how one plain request leaves, beside `Dial`, which is how a stream does."""

from __future__ import annotations

from typing import Protocol

from underpass.address import Address
from underpass.net.stream import Dial, Stream
from underpass.protocol.http.head import RequestHead, ResponseHead
from underpass.protocol.http.target import AbsoluteTarget


class Route(Protocol):
    """How one request leaves: over a stream to its origin, or handed to an upstream proxy.

    It is made for one request and one user, who may send it, and forgotten with it. Streams that it
    opens may carry later requests of the same user to the same address.
    """

    @property
    def may_repeat(self) -> bool:
        """Whether `must_repeat` can ever be True, so that a body has to be kept for it."""

    @property
    def says_nothing(self) -> bool:
        """Whether `addressed` adds no login, and none is expected to be asked for."""

    @property
    def must_rehearse(self) -> bool:
        """Whether the next request on this stream is for certain to be refused, as what `addressed`
        adds to it is the first leg of a login: a long body is not worth sending with it.
        """

    @property
    def is_doubtful(self) -> bool:
        """Whether a request on a stream that was kept may well be refused for its login: one with a
        long body is for a stream of its own.
        """

    async def open(self, *, for_long: bool = False) -> Stream:
        """Open a stream that the request can be sent on. Raises `DialError`.

        `for_long`: its body is too long to be sent twice, so that a login that may be wanted is
        seen to before.
        """

    def addressed(self, head: RequestHead, target: AbsoluteTarget) -> RequestHead:
        """`head`, in origin-form so far, as it is sent; anew each time that it is sent."""

    async def must_repeat(self, head: ResponseHead) -> bool:
        """Whether `head` tells us, not the client, to send the request again.

        On the same stream, if it may go on, or on another that `open` opens. Call it for every
        final head. Raises `DialError` where it is for us and there is nothing more to try.
        """


class StreamRoute(Route):
    """Over a stream to the origin itself, which `dial` opens."""

    may_repeat = False
    says_nothing = True
    must_rehearse = False
    is_doubtful = False

    def __init__(self, dial: Dial, address: Address) -> None:
        self._dial = dial
        self._address = address

    async def open(self, *, for_long: bool = False) -> Stream:
        return await self._dial(self._address)

    def addressed(self, head: RequestHead, target: AbsoluteTarget) -> RequestHead:
        return head

    async def must_repeat(self, head: ResponseHead) -> bool:
        return False
