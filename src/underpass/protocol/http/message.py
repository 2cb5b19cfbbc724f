"""Readers of HTTP/1 messages: bytes in, events out, one message at a time (RFC 9112).

Each reader is a generator over a buffer. `next_event` resumes it: it returns `Signal.NEED_DATA`
until `receive_data` brought enough. After a message it returns `Signal.PAUSED` until `start_next`:
what follows on the stream is not looked at while the message before it is still being answered,
and can be taken over whole by `release` (after CONNECT or 101).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple, TypeAlias

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.grammar import Buffer, EndOfData, Need, Parser
from underpass.protocol.http.chunked import decode_chunked
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import (
    NO_BODY,
    BodyKind,
    Framing,
    request_framing,
    response_framing,
)
from underpass.protocol.http.head import (
    DEFAULT_LIMITS,
    METHOD_BYTES,
    HeadLimits,
    RequestHead,
    ResponseHead,
    parse_request_head,
    parse_response_head,
)

# Empty lines tolerated before a start line: RFC 9112 2.2 wants one at least.
EMPTY_LINES = 2

# What can't be in a head whatever follows: a bare LF, a bare CR, a NUL. Looked for as soon as it
# comes, so that such a head is refused at once instead of at the deadline.
_NEVER = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\0")
_FIRST_OF_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z\r-]")


class Signal(enum.Enum):
    """What `next_event` returns when there is no event."""

    NEED_DATA = "needs data"
    PAUSED = "paused"
    END_OF_INPUT = "end of input"


# An enum's member costs ten times what a name does where it is asked for at every step.
NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED


class Data(NamedTuple):
    """A piece of a body, never empty."""

    data: bytes


class EndOfMessage(NamedTuple):
    """The end of a message, with its trailer fields."""

    trailers: Fields


Event: TypeAlias = RequestHead | ResponseHead | Data | EndOfMessage | Signal

_END = EndOfMessage(Fields())


class MessageReader:
    """What the readers of requests and of responses share."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._buffer = Buffer()
        self._events: Iterator[Event] = self._messages()
        self._error: RemoteProtocolError | None = None
        self._go_on = False
        self.framing: Framing = NO_BODY

    def receive_data(self, data: bytes) -> None:
        """Take bytes in, in order."""
        self._buffer.feed(data)

    def receive_eof(self) -> None:
        """The other end has ended: nothing more will come."""
        self._buffer.end()

    def next_event(self) -> Event:
        """Return the next event, or a signal.

        Raises `RemoteProtocolError`, the same again on each further call.
        """
        if self._error is not None:
            raise self._error
        try:
            return next(self._events)
        except RemoteProtocolError as error:
            self._error = error
            raise

    def start_next(self) -> None:
        """Go on to the next message; call it after `EndOfMessage`."""
        self._go_on = True

    def release(self) -> bytes:
        """Take over all bytes that were not consumed; the reader is not to be used after."""
        self._events = iter((Signal.PAUSED,))
        return self._buffer.take(len(self._buffer))

    @property
    def has_buffered(self) -> bool:
        """Whether bytes wait that no event has told of yet."""
        return len(self._buffer) > 0

    def _messages(self) -> Generator[Event, None, None]:
        raise NotImplementedError

    def _body(self) -> Generator[Event, None, None]:
        """The events of a body and the end of its message. Raises `EndOfData`."""
        match self.framing.kind:
            case BodyKind.NONE:
                yield _END
            case BodyKind.LENGTH:
                yield from self._length_body(self.framing.length)
            case BodyKind.CHUNKED:
                yield from self._chunked_body()
            case _:
                yield from self._body_until_close()

    def _length_body(self, remaining: int) -> Generator[Event, None, None]:
        while remaining:
            if not len(self._buffer):
                yield from _signals(self._buffer.more())
            data = self._buffer.take(remaining)
            remaining -= len(data)
            yield Data(data)
        yield _END

    def _chunked_body(self) -> Generator[Event, None, None]:
        decoder = decode_chunked(self._buffer, self._limits)
        while True:
            try:
                step = next(decoder)
            except StopIteration as end:
                yield EndOfMessage(end.value)
                return
            yield NEED_DATA if isinstance(step, Need) else Data(step)

    def _body_until_close(self) -> Generator[Event, None, None]:
        while True:
            if len(self._buffer):
                yield Data(self._buffer.take(len(self._buffer)))
            elif self._buffer.ended:
                yield _END
                return
            else:
                yield NEED_DATA

    def _whole_head(self) -> bytes | None:
        """The head where all of it has come, as most do: `_head_bytes` without its waits."""
        at = self._buffer.find(b"\r\n\r\n")
        return self._buffer.take(at + 4) if 0 <= at <= self._limits.section - 4 else None

    def _head_bytes(self, too_large: Failure) -> Parser[bytes]:
        """Read a whole head, refusing early what can't become one."""
        buffer = self._buffer
        searched = 0
        while (at := buffer.find(b"\r\n\r\n", searched)) < 0:
            self._check_incomplete(searched, too_large)
            # The end may lie across the border; one byte more, so that a CR there is seen again.
            searched = max(0, len(buffer) - 4)
            yield from buffer.more()
        if at + 4 > self._limits.section:
            raise self._too_large(too_large)
        return buffer.take(at + 4)

    def _check_incomplete(self, searched: int, too_large: Failure) -> None:
        size = len(self._buffer)
        if _NEVER.search(self._buffer.peek(), searched):
            raise RemoteProtocolError("bare CR, LF or NUL in a head", self._malformed)
        if size > self._limits.section:
            raise self._too_large(too_large)

    def _too_large(self, failure: Failure) -> RemoteProtocolError:
        return RemoteProtocolError(f"head over {self._limits.section} bytes", failure)

    _malformed = Failure.BAD_REQUEST


class RequestReader(MessageReader):
    """Reads the requests of one client."""

    def __init__(self, limits: HeadLimits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)

    def _messages(self) -> Generator[Event, None, None]:
        buffer = self._buffer
        while True:
            while buffer.waits:
                yield NEED_DATA
            try:
                data = None if buffer.starts_with(b"\r") else self._whole_head()
                if data is None:
                    yield from self._empty_lines()
                    data = yield from _signals(self._head_bytes(Failure.HEADERS_TOO_LARGE))
            except EndOfData:
                if len(self._buffer):
                    raise RemoteProtocolError("ended within a request head") from None
                while True:
                    yield Signal.END_OF_INPUT
            head = parse_request_head(data, self._limits)
            self.framing = request_framing(head)
            yield head
            if self.framing is not NO_BODY:
                try:
                    yield from self._body()
                except EndOfData:
                    raise RemoteProtocolError("ended within a request body") from None
            elif head.method != b"CONNECT":
                yield _END
            # What follows a CONNECT is the tunnel's; or the next request's, if it was refused.
            while not self._go_on:
                yield PAUSED
            self._go_on = False

    def _empty_lines(self) -> Generator[Event, None, None]:
        for _ in range(EMPTY_LINES):
            while len(self._buffer) < 2:
                self._check_first()
                yield from _signals(self._buffer.more())
            if self._buffer.peek()[:2] != b"\r\n":
                return
            self._buffer.take(2)

    def _check_first(self) -> None:
        if len(self._buffer) and not _FIRST_OF_REQUEST.match(self._buffer.peek()):
            raise RemoteProtocolError("not an HTTP request")

    def _check_incomplete(self, searched: int, too_large: Failure) -> None:
        self._check_first()
        longest = self._limits.target + METHOD_BYTES + len(b"  HTTP/1.1\r\n")
        if len(self._buffer) > longest and self._buffer.find(b"\r\n") < 0:
            raise RemoteProtocolError("request line too long", Failure.TARGET_TOO_LONG)
        super()._check_incomplete(searched, too_large)


class ResponseReader(MessageReader):
    """Reads the responses of one server; `expect` tells what each one answers."""

    _malformed = Failure.UPSTREAM_PROTOCOL

    def __init__(self, limits: HeadLimits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._request_method = b""

    def expect(self, request_method: bytes) -> None:
        """The next response answers a request with this method."""
        self._request_method = request_method

    def _messages(self) -> Generator[Event, None, None]:
        buffer = self._buffer
        while True:
            while buffer.waits:
                yield NEED_DATA
            try:
                data = self._whole_head()
                if data is None:
                    data = yield from _signals(self._head_bytes(Failure.RESPONSE_HEADERS_TOO_LARGE))
            except EndOfData:
                if len(self._buffer):
                    raise _incomplete("head") from None
                while True:
                    yield Signal.END_OF_INPUT
            method = self._request_method
            if not method:
                raise LocalProtocolError("a response is read without its request's method")
            head = parse_response_head(data, self._limits)
            self.framing = response_framing(head, method)
            switches = head.status == 101 or (method == b"CONNECT" and head.status // 100 == 2)
            if head.status >= 200:
                self._request_method = b""
            yield head
            if switches:
                while True:
                    yield PAUSED
            if head.status < 200:
                continue
            try:
                framing = self.framing
                if framing.length and len(buffer) >= framing.length:
                    # All of it is here, as with most: `_body` without its waits.
                    yield Data(buffer.take(framing.length))
                    yield _END
                else:
                    yield from self._body()
            except EndOfData:
                raise _incomplete("body") from None
            except RemoteProtocolError as error:
                raise RemoteProtocolError(error.reason, Failure.UPSTREAM_PROTOCOL) from None
            while not self._go_on:
                yield PAUSED
            self._go_on = False


def _incomplete(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"ended within the response's {what}", Failure.RESPONSE_INCOMPLETE)


def _signals(parser: Parser[bytes] | Parser[None]) -> Generator[Event, None, bytes]:
    """Run `parser`, passing its needs on as signals."""
    while True:
        try:
            next(parser)
        except StopIteration as end:
            return end.value or b""
        yield NEED_DATA
