"""What other HTTP parsers make of a request: the oracles that our own is compared with."""

from __future__ import annotations

from collections.abc import Callable

import h11
import httptools

# A parser's verdict: how many whole requests it made of the bytes before it objected, or waited.
Verdict = Callable[[bytes, bool], int]


class _Counter:
    """Callbacks of httptools."""

    def __init__(self) -> None:
        self.whole = 0

    def on_message_complete(self) -> None:
        self.whole += 1


def httptools_requests(data: bytes, ends: bool) -> int:
    """Whole requests that httptools (llhttp) takes `data` for."""
    counter = _Counter()
    parser = httptools.HttpRequestParser(counter)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        # CONNECT, or an Upgrade: what follows is no HTTP any more.
        return counter.whole
    except httptools.HttpParserError:
        pass
    return counter.whole


def h11_requests(data: bytes, ends: bool) -> int:
    """Whole requests that h11 takes `data` for, each answered so that the next can follow."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    if ends:
        server.receive_data(b"")
    whole = 0
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.EndOfMessage):
                whole += 1
                server.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                server.send(h11.EndOfMessage())
                if server.our_state is not h11.DONE or server.their_state is not h11.DONE:
                    return whole
                server.start_next_cycle()
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return whole
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        return whole
