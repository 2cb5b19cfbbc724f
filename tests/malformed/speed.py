"""How long our reader and other parsers take for one head: ``python -m tests.malformed.speed``."""

from __future__ import annotations

import timeit
from statistics import median

import h11
import httptools

from underpass.protocol.http.message import EndOfMessage, RequestReader

ROUNDS = 7
CALLS = 5000

CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
GET = (
    b"GET http://example.com/a/page?with=query HTTP/1.1\r\n"
    b"Host: example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Referer: http://example.com/another/page\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    b"Connection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Cache-Control: max-age=0\r\n"
    b"\r\n"
)


class _Collect:
    """As much as any user of httptools must do: keep the target and the fields."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def own(data: bytes) -> None:
    """Our reader, with all of its checks."""
    reader = RequestReader()
    reader.receive_data(data)
    while not isinstance(reader.next_event(), EndOfMessage):
        if data is CONNECT:
            break


def own_kept(reader: RequestReader, data: bytes) -> None:
    """One reader for many requests, as on a persistent connection."""
    reader.receive_data(data)
    while not isinstance(reader.next_event(), EndOfMessage):
        pass
    reader.start_next()


def with_httptools(data: bytes) -> None:
    """llhttp, without a check of ours."""
    parser = httptools.HttpRequestParser(_Collect())
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return


def with_h11(data: bytes) -> None:
    """h11, without a check of ours."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    while not isinstance(server.next_event(), h11.EndOfMessage):
        pass


def main() -> None:
    """Print microseconds a head, medians of several rounds."""
    kept = RequestReader()
    runs = [
        ("underpass", "CONNECT", lambda: own(CONNECT)),
        ("underpass", "GET, 10 fields", lambda: own(GET)),
        ("underpass, one reader", "GET, 10 fields", lambda: own_kept(kept, GET)),
        ("httptools", "CONNECT", lambda: with_httptools(CONNECT)),
        ("httptools", "GET, 10 fields", lambda: with_httptools(GET)),
        ("h11", "CONNECT", lambda: with_h11(CONNECT)),
        ("h11", "GET, 10 fields", lambda: with_h11(GET)),
    ]
    for name, what, run in runs:
        seconds = median(timeit.repeat(run, number=CALLS, repeat=ROUNDS)) / CALLS
        print(f"{name:22} {what:16} {seconds * 1e6:6.1f} µs")


if __name__ == "__main__":
    main()
