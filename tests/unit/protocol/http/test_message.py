"""The readers: each message whole, byte by byte, with bytes behind it; cut, broken and paused."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.errors import Failure, LocalProtocolError, RemoteProtocolError
from underpass.protocol.http.chunked import encode_chunk, encode_last_chunk
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import (
    HTTP_10,
    HTTP_11,
    HeadLimits,
    RequestHead,
    ResponseHead,
    serialise_request,
    serialise_response,
)
from underpass.protocol.http.message import (
    Data,
    EndOfMessage,
    Event,
    MessageReader,
    RequestReader,
    ResponseReader,
    Signal,
)

Message = list[RequestHead | ResponseHead | Data | EndOfMessage]

END = EndOfMessage(Fields())
TRAILERS = Fields([(b"X-T", b"1")])
CHUNKED = (b"Transfer-Encoding", b"chunked")


def write(message: Message) -> bytes:
    """What a sender of these events writes."""
    head = message[0]
    assert isinstance(head, (RequestHead, ResponseHead))
    out = serialise_request(head) if isinstance(head, RequestHead) else serialise_response(head)
    chunked = b"transfer-encoding" in head.fields
    for event in message[1:]:
        if isinstance(event, Data):
            out += encode_chunk(event.data) if chunked else event.data
        elif isinstance(event, EndOfMessage) and chunked:
            out += encode_last_chunk(event.trailers)
    return out


def merged(events: list[Event]) -> list[Event]:
    """The same events with the pieces of each body put together, and without needs."""
    out: list[Event] = []
    for event in events:
        if event is Signal.NEED_DATA:
            continue
        last = out[-1] if out else None
        if isinstance(event, Data) and isinstance(last, Data):
            out[-1] = Data(last.data + event.data)
        else:
            out.append(event)
    return out


def drain(reader: MessageReader) -> list[Event]:
    """Events up to the next need or pause."""
    events: list[Event] = []
    while not isinstance(event := reader.next_event(), Signal):
        events.append(event)
    return events


def read(reader: MessageReader, pieces: list[bytes], *, eof: bool = False) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        reader.receive_data(piece)
        events += drain(reader)
    if eof:
        reader.receive_eof()
        events += drain(reader)
    return merged(events)


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def request(method: bytes, *pairs: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(method, b"http://h/", HTTP_11, Fields([(b"Host", b"h"), *pairs]))


def response(status: int, *pairs: tuple[bytes, bytes]) -> ResponseHead:
    return ResponseHead(status, b"Fine", HTTP_11, Fields(pairs))


REQUESTS: list[Message] = [
    [request(b"GET"), END],
    [RequestHead(b"GET", b"/", HTTP_10, Fields()), END],
    [request(b"POST", (b"Content-Length", b"5")), Data(b"hello"), END],
    [request(b"POST", (b"Content-Length", b"0")), END],
    [request(b"PUT", CHUNKED), Data(b"hello"), EndOfMessage(TRAILERS)],
    [request(b"PUT", CHUNKED), END],
]

RESPONSES: list[tuple[bytes, Message]] = [
    (b"GET", [response(200, (b"Content-Length", b"2")), Data(b"ok"), END]),
    (b"GET", [response(200, CHUNKED), Data(b"ok"), EndOfMessage(TRAILERS)]),
    (b"HEAD", [response(200, (b"Content-Length", b"2")), END]),
    (b"GET", [response(204), END]),
    (b"GET", [response(304, (b"Content-Length", b"2")), END]),
    (b"CONNECT", [response(407, (b"Content-Length", b"2")), Data(b"no"), END]),
]


@pytest.mark.parametrize("message", REQUESTS)
def test_requests_are_written_and_read(message: Message) -> None:
    # A chunked request of no body is written without chunks, but for the last.
    data = write(message)
    assert read(RequestReader(), [data]) == message
    assert read(RequestReader(), single(data)) == message
    assert read(RequestReader(), [b"\r\n\r\n" + data]) == message
    reader = RequestReader()
    assert read(reader, [data + b"GET / more"]) == message
    assert reader.has_buffered
    assert reader.release() == b"GET / more"


@pytest.mark.parametrize(("method", "message"), RESPONSES)
def test_responses_are_written_and_read(method: bytes, message: Message) -> None:
    data = write(message)
    for pieces in ([data], single(data)):
        reader = ResponseReader()
        reader.expect(method)
        assert read(reader, pieces) == message
        assert not reader.has_buffered
    reader = ResponseReader()
    reader.expect(method)
    assert read(reader, [data + b"HTTP/1.1 200"]) == message
    assert reader.release() == b"HTTP/1.1 200"


@pytest.mark.parametrize("message", REQUESTS)
def test_a_request_cut_anywhere_is_never_whole(message: Message) -> None:
    data = write(message)
    for cut in range(1, len(data)):
        reader = RequestReader()
        with pytest.raises(RemoteProtocolError, match="ended within a request") as caught:
            read(reader, [data[:cut]], eof=True)
        assert caught.value.failure is Failure.BAD_REQUEST
        # The same again: nobody goes on after an error by asking twice.
        with pytest.raises(RemoteProtocolError, match="ended within a request"):
            reader.next_event()


@pytest.mark.parametrize(("method", "message"), RESPONSES)
def test_a_response_cut_anywhere_is_never_whole(method: bytes, message: Message) -> None:
    data = write(message)
    for cut in range(1, len(data)):
        reader = ResponseReader()
        reader.expect(method)
        with pytest.raises(RemoteProtocolError, match="ended within the response") as caught:
            read(reader, [data[:cut]], eof=True)
        assert caught.value.failure is Failure.RESPONSE_INCOMPLETE


def test_a_response_to_head_has_no_chunks_whatever_it_says() -> None:
    reader = ResponseReader()
    reader.expect(b"HEAD")
    head = response(200, CHUNKED)
    assert read(reader, [serialise_response(head)]) == [head, END]


def test_a_body_until_close_ends_with_the_stream() -> None:
    reader = ResponseReader()
    reader.expect(b"GET")
    head = response(200)
    assert read(reader, [write([head]), b"all ", b"of it"]) == [head, Data(b"all of it")]
    assert reader.next_event() is Signal.NEED_DATA
    reader.receive_eof()
    assert drain(reader) == [END]


def test_nothing_at_all_is_the_end_of_input() -> None:
    for reader in (RequestReader(), ResponseReader()):
        assert reader.next_event() is Signal.NEED_DATA
        reader.receive_eof()
        assert reader.next_event() is Signal.END_OF_INPUT
        assert reader.next_event() is Signal.END_OF_INPUT


def test_what_follows_a_message_waits_until_it_is_asked_for() -> None:
    reader = RequestReader()
    first, second = write(REQUESTS[2]), write(REQUESTS[4])
    assert read(reader, [first + second]) == REQUESTS[2]
    assert reader.next_event() is Signal.PAUSED
    reader.start_next()
    assert merged(drain(reader)) == REQUESTS[4]
    reader.start_next()
    reader.receive_eof()
    assert reader.next_event() is Signal.END_OF_INPUT


def test_after_connect_the_bytes_are_the_tunnels() -> None:
    reader = RequestReader()
    head = RequestHead(b"CONNECT", b"h:1", HTTP_11, Fields([(b"Host", b"h:1")]))
    assert read(reader, [serialise_request(head) + b"\x16\x03\x01"]) == [head]
    assert reader.release() == b"\x16\x03\x01"
    assert reader.next_event() is Signal.PAUSED


def test_after_a_refused_connect_another_request_may_come() -> None:
    reader = RequestReader()
    head = RequestHead(b"CONNECT", b"h:1", HTTP_11, Fields([(b"Host", b"h:1")]))
    assert read(reader, [serialise_request(head)]) == [head]
    reader.start_next()
    assert read(reader, [write(REQUESTS[0])]) == REQUESTS[0]


@pytest.mark.parametrize(
    ("method", "status"), [(b"GET", 101), (b"CONNECT", 200), (b"CONNECT", 299)]
)
def test_after_a_switch_the_bytes_are_no_messages(method: bytes, status: int) -> None:
    reader = ResponseReader()
    reader.expect(method)
    head = response(status)
    assert read(reader, [write([head]) + b"SSH-2.0"]) == [head]
    reader.start_next()
    assert reader.next_event() is Signal.PAUSED
    assert reader.release() == b"SSH-2.0"


def test_interim_responses_come_before_the_final_one() -> None:
    reader = ResponseReader()
    reader.expect(b"GET")
    hints, final = response(103, (b"Link", b"</a>")), RESPONSES[0][1]
    assert read(reader, [write([hints]) * 2 + write(final)]) == [hints, hints, *final]
    reader.start_next()
    reader.expect(b"HEAD")
    assert read(reader, [write(RESPONSES[2][1])]) == RESPONSES[2][1]


def test_a_response_to_nothing_is_a_bug_of_ours() -> None:
    reader = ResponseReader()
    reader.receive_data(write(RESPONSES[0][1]))
    with pytest.raises(LocalProtocolError):
        reader.next_event()


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        # What can't become a head is refused before it is whole.
        (b"\x16\x03\x01", Failure.BAD_REQUEST),
        (b" GET", Failure.BAD_REQUEST),
        (b"\r\n\x00", Failure.BAD_REQUEST),
        (b"\r\n\r\n(", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\rH", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: \x00", Failure.BAD_REQUEST),
        (b"GET /" + b"a" * 200, Failure.TARGET_TOO_LONG),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 300, Failure.HEADERS_TOO_LARGE),
        # The rest when it is.
        (b"\r\n\r\n\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n" % (b"a" * 300), Failure.HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n\r\n", Failure.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", Failure.BAD_REQUEST),
        (b"PUT / HTTP/1.1\r\nHost: h\r\n%s: %s\r\n\r\nz\r\n" % CHUNKED, Failure.BAD_REQUEST),
    ],
)
def test_requests_that_are_refused(data: bytes, failure: Failure) -> None:
    limits = HeadLimits(target=100, section=200)
    for pieces in ([data], single(data)):
        with pytest.raises(RemoteProtocolError) as caught:
            read(RequestReader(limits), pieces)
        assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b"HTTP/1.1 200 OK\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 300, Failure.RESPONSE_HEADERS_TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Failure.UPSTREAM_PROTOCOL),
        (b"HTTP/1.1 200 OK\r\n%s: %s\r\n\r\nz\r\n" % CHUNKED, Failure.UPSTREAM_PROTOCOL),
    ],
)
def test_responses_that_are_refused(data: bytes, failure: Failure) -> None:
    for pieces in ([data], single(data)):
        reader = ResponseReader(HeadLimits(section=200))
        reader.expect(b"GET")
        with pytest.raises(RemoteProtocolError) as caught:
            read(reader, pieces)
        assert caught.value.failure is failure


def test_a_head_of_just_the_limit_is_taken_however_it_comes() -> None:
    message: Message = [request(b"GET", (b"A", b"a" * 100)), END]
    data = write(message)
    for pieces in ([data], single(data)):
        assert read(RequestReader(HeadLimits(section=len(data))), pieces) == message
        with pytest.raises(RemoteProtocolError):
            read(RequestReader(HeadLimits(section=len(data) - 1)), pieces)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at the places."""
    return [
        data[a:b] for a, b in pairwise(sorted({0, len(data), *(p % len(data) for p in places)}))
    ]


@given(st.sampled_from(REQUESTS), st.lists(st.integers(0, 1000), max_size=8))
def test_any_cut_of_a_request_gives_the_same_events(message: Message, places: list[int]) -> None:
    assert read(RequestReader(), cut(write(message), places)) == message


@given(st.sampled_from(RESPONSES), st.lists(st.integers(0, 1000), max_size=8))
def test_any_cut_of_a_response_gives_the_same_events(
    case: tuple[bytes, Message], places: list[int]
) -> None:
    reader = ResponseReader()
    reader.expect(case[0])
    assert read(reader, cut(write(case[1]), places)) == case[1]


@given(
    st.sampled_from(REQUESTS),
    st.integers(0, 200),
    st.binary(max_size=3),
    st.lists(st.integers(0, 1000), max_size=3),
)
def test_a_damaged_request_raises_one_exception_or_none(
    message: Message, place: int, damage: bytes, places: list[int]
) -> None:
    data = write(message)
    data = data[:place] + damage + data[place + 1 :]
    with contextlib.suppress(RemoteProtocolError):
        read(RequestReader(), cut(data, places), eof=True)


@given(
    st.sampled_from(RESPONSES),
    st.integers(0, 100),
    st.binary(max_size=3),
    st.lists(st.integers(0, 1000), max_size=3),
)
def test_a_damaged_response_raises_one_exception_or_none(
    case: tuple[bytes, Message], place: int, damage: bytes, places: list[int]
) -> None:
    data = write(case[1])
    data = data[:place] + damage + data[place + 1 :]
    reader = ResponseReader()
    reader.expect(case[0])
    with contextlib.suppress(RemoteProtocolError):
        read(reader, cut(data, places), eof=True)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
def test_bytes_raise_one_exception_and_nothing_else(pieces: list[bytes]) -> None:
    answers = ResponseReader()
    answers.expect(b"GET")
    for reader in (RequestReader(), answers):
        with contextlib.suppress(RemoteProtocolError):
            read(reader, pieces, eof=True)
