"""`StreamCarrier`: one long response down, POSTs up, for networks that pass bodies as they come."""

from __future__ import annotations

from typing import ClassVar

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.http_client import Request, status_error
from underpass.carriers.poll import PollCarrier
from underpass.errors import RemoteProtocolError, StreamError
from underpass.net.clock import TimeLimit
from underpass.protocol.http.fields import Fields

# The head of the long response comes at once, or the network holds it back.
HEAD_SECONDS = 5.0

# Bytes may come at any time, and records within them are asked for by the session's keepalive. A
# read that brings nothing for so long can't happen on a carrier that lives.
QUIET_SECONDS = 300.0

# RFC 10036: this response is meant to be passed on as it comes.
_FIELDS = Fields([(b"Incremental", b"?1")])


class StreamCarrier(PollCarrier):
    """As `poll`, but for the way down."""

    name: ClassVar[str] = "stream"

    async def _down(self, feed: Feed) -> None:
        request = Request("GET", f"{self._token}/down", fields=_FIELDS, seconds=HEAD_SECONDS)
        async with self._client.streaming(request) as answer:
            if answer.head.status != 200:
                raise status_error(
                    "the response down was refused", answer.head.status, answer.head.fields
                )
            try:
                while True:
                    with TimeLimit(QUIET_SECONDS):
                        data = await answer.receive()
                    if not data:
                        break
                    feed.receive(data)
            except TimeoutError:
                raise CarrierError("nothing comes down any more") from None
            except (StreamError, RemoteProtocolError) as error:
                raise CarrierError(str(error)) from error
        raise CarrierError("the response down has ended")
