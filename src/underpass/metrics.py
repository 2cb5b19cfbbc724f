"""Metrics for machines: Prometheus exposition of the counters, and a tiny listener to serve it.

Import this only where metrics are asked for: `prometheus_client` costs 70 ms of a start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from underpass.address import ListenAddress
from underpass.errors import RemoteProtocolError
from underpass.net.listen import bind, listening_on
from underpass.observe import GAUGES, LATENCY_BOUNDS, Counter, Histogram, Snapshot
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.head import HTTP_11, RequestHead, ResponseHead, serialise_response
from underpass.protocol.http.message import RequestReader

# A scrape is one small request and some KiB back; what takes longer is no scraper.
EXCHANGE_SECONDS = 5.0

# Scrapers are few. More at once is a mistake or an attack, and gets nothing.
MAX_EXCHANGES = 16

_HELP = {
    Counter.CONNECTIONS_ACCEPTED: "Connections accepted from clients.",
    Counter.CONNECTIONS_OPEN: "Connections from clients that are open.",
    Counter.CONNECTIONS_SHED: "Connections closed unserved because a limit was reached.",
    Counter.REQUESTS_CONNECT: "CONNECT requests.",
    Counter.REQUESTS_FORWARD: "Requests forwarded.",
    Counter.REFUSALS: "Requests refused or failed.",
    Counter.TUNNELS_OPEN: "Tunnels that are open.",
    Counter.BYTES_SENT: "Bytes sent to destinations.",
    Counter.BYTES_RECEIVED: "Bytes received from destinations.",
    Counter.DIALS: "Attempts to open a destination.",
    Counter.DIAL_FAILURES: "Attempts to open a destination that failed.",
    Counter.AUTHENTICATION_FAILURES: "Requests with credentials that were not accepted.",
    Counter.LOG_LINES_DROPPED: "Log lines lost because the log could not be written fast enough.",
    Counter.POOL_REUSED: "Forwarded requests that reused an open connection to the server.",
    Counter.ACCEPT_PAUSES: "Times that accepting paused for want of file descriptors.",
    Counter.RELOADS: "Configurations taken over while running.",
    Counter.RELOAD_FAILURES: "Configurations refused while running.",
    Counter.SESSIONS_OPEN: "Sessions of tunnels that are held, with or without a carrier.",
    Counter.SESSIONS_BEGUN: "Sessions of tunnels that have begun.",
    Counter.HELLOS_SHED: "Hellos not looked at, as too many came from one address.",
}

_HISTOGRAM_HELP = {
    Histogram.DIAL_SECONDS: "Seconds to open a destination.",
    Histogram.REQUEST_SECONDS: "Seconds from a request's head to its end, tunnels too.",
}


class _Snapshots(Collector):
    """Makes Prometheus' families of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        for counter, value in self._snapshot.counters.items():
            name = f"underpass_{counter.name.lower()}"
            family = GaugeMetricFamily if counter in GAUGES else CounterMetricFamily
            if counter is not Counter.REFUSALS:
                yield family(name, _HELP[counter], value=value)
        yield self._refusals()
        for histogram in self._snapshot.timings:
            yield self._histogram(histogram)

    def _refusals(self) -> Metric:
        family = CounterMetricFamily(
            "underpass_refusals", _HELP[Counter.REFUSALS], labels=["reason"]
        )
        for failure, count in self._snapshot.refusals.items():
            family.add_metric([failure.name.lower()], count)
        return family

    def _histogram(self, histogram: Histogram) -> Metric:
        timings = self._snapshot.timings[histogram]
        total = 0
        buckets = []
        bounds = [*map(str, LATENCY_BOUNDS), "+Inf"]
        for bound, count in zip(bounds, timings.buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return HistogramMetricFamily(
            f"underpass_{histogram.name.lower()}",
            _HISTOGRAM_HELP[histogram],
            buckets=buckets,
            sum_value=timings.seconds,
        )


def exposition(snapshot: Snapshot) -> bytes:
    """The snapshot in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshots(snapshot))
    return generate_latest(registry)


class MetricsServer:
    """Serves ``GET /metrics`` and ``GET /healthz`` (200, or 503 while draining)."""

    def __init__(
        self, read: Callable[[], Snapshot], is_healthy: Callable[[], bool] = lambda: True
    ) -> None:
        self._read = read
        self._is_healthy = is_healthy
        self._servers: list[asyncio.Server] = []
        self._path: str | None = None
        self._open: set[_Exchange] = set()

    async def start(self, address: ListenAddress) -> list[ListenAddress]:
        """Listen and return the addresses really bound. Raises `ConfigurationError`."""
        loop = asyncio.get_running_loop()
        bound = bind(address)
        serve = loop.create_server if address.path is None else loop.create_unix_server
        self._path = address.path
        self._servers = [await serve(self._exchange, sock=sock) for sock in bound]
        return [listening_on(sock) for sock in bound]

    async def stop(self) -> None:
        """Stop listening and cut what is under way."""
        for server in self._servers:
            server.close()
        for exchange in list(self._open):
            exchange.abort()
        for server in self._servers:
            await server.wait_closed()
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def _exchange(self) -> _Exchange:
        return _Exchange(self.respond, self._open)

    def respond(self, head: RequestHead) -> bytes:
        """The whole response to one request."""
        path = head.target.partition(b"?")[0]
        if path not in (b"/metrics", b"/healthz"):
            return _response(404, b"Not Found", b"there is /metrics and /healthz\n")
        if head.method not in (b"GET", b"HEAD"):
            return _response(
                405, b"Method Not Allowed", b"use GET\n", Fields([(b"Allow", b"GET, HEAD")])
            )
        if path == b"/metrics":
            fields = Fields([(b"Content-Type", CONTENT_TYPE_LATEST.encode())])
            response = _response(200, b"OK", exposition(self._read()), fields)
        elif self._is_healthy():
            response = _response(200, b"OK", b"ok\n")
        else:
            response = _response(503, b"Service Unavailable", b"draining\n")
        return (
            response if head.method == b"GET" else response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )


def _response(status: int, reason: bytes, body: bytes, fields: Fields = Fields()) -> bytes:  # noqa: B008 - immutable
    if b"content-type" not in fields:
        fields = fields.adding(b"Content-Type", b"text/plain; charset=utf-8")
    for name, value in (
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (b"Connection", b"close"),
    ):
        fields = fields.adding(name, value)
    return serialise_response(ResponseHead(status, reason, HTTP_11, fields)) + body


class _Exchange(asyncio.Protocol):
    """One request, one response, within `EXCHANGE_SECONDS`."""

    def __init__(self, respond: Callable[[RequestHead], bytes], others: set[_Exchange]) -> None:
        self._respond = respond
        self._others = others
        self._reader: RequestReader | None = RequestReader()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What `create_server` makes; uvloop's is one without saying so.
        self._transport = cast("asyncio.Transport", transport)
        if len(self._others) >= MAX_EXCHANGES:
            self.abort()
            return
        self._others.add(self)
        self._timer = asyncio.get_running_loop().call_later(EXCHANGE_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            # Whatever follows the request is dropped, so that closing does not become a reset.
            return
        self._reader.receive_data(data)
        try:
            event = self._reader.next_event()
        except RemoteProtocolError as error:
            status, phrase = error.failure.status, error.failure.phrase
            self._answer(
                _response(status, phrase.encode(), error.reason.encode("utf-8", "replace") + b"\n")
            )
            return
        if isinstance(event, RequestHead):
            self._answer(self._respond(event))

    def _answer(self, response: bytes) -> None:
        self._reader = None
        self._transport.write(response)
        self._transport.write_eof()

    def abort(self) -> None:
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._others.discard(self)
        if self._timer is not None:
            self._timer.cancel()
