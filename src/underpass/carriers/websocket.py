"""`WebSocketCarrier`: the client's half of a WebSocket, the best carrier where it passes."""

from __future__ import annotations

import base64
import os
from typing import ClassVar

from underpass.carriers.base import Carrier, CarrierError, Feed
from underpass.carriers.http_client import HttpClient, Request
from underpass.carriers.pacing import Pacing
from underpass.carriers.pieces import encode_data, new_token
from underpass.carriers.websocket_messages import Messages, accept_value, run_messages
from underpass.errors import RemoteProtocolError, StreamError
from underpass.net.clock import TimeLimit
from underpass.protocol.http.fields import Fields

OPEN_SECONDS = 10.0


class WebSocketCarrier(Carrier):
    """See the module. The opening message goes in the target, so that it costs no round trip.

    `pacing` outlives the carrier.
    """

    name: ClassVar[str] = "websocket"
    is_prompt: ClassVar[bool] = True

    def __init__(self, client: HttpClient, pacing: Pacing) -> None:
        self._client = client
        self._pacing = pacing
        self._messages: Messages | None = None

    async def open(self, message: bytes) -> bytes:
        key = base64.b64encode(os.urandom(16))
        fields = Fields(
            [
                (b"Connection", b"Upgrade"),
                (b"Upgrade", b"websocket"),
                (b"Sec-WebSocket-Version", b"13"),
                (b"Sec-WebSocket-Key", key),
            ]
        )
        path = f"{new_token()}/{encode_data(message)}"
        request = Request("GET", path, fields=fields, seconds=OPEN_SECONDS, is_repeatable=False)
        head, stream = await self._client.upgrade(request)
        self._messages = messages = Messages(stream, is_client=True)
        if head.fields.get(b"sec-websocket-accept") != accept_value(key):
            raise CarrierError("a 101 that is not for our WebSocket", head.status)
        try:
            with TimeLimit(OPEN_SECONDS):
                answer = await messages.receive_one()
        except TimeoutError:
            raise CarrierError("the WebSocket opens, but nothing comes over it") from None
        except (StreamError, RemoteProtocolError) as error:
            raise CarrierError(str(error)) from error
        if answer is None:
            raise CarrierError("the WebSocket was closed at once")
        return answer

    async def run(self, feed: Feed) -> None:
        if self._messages is None:
            raise CarrierError("not opened")
        if self._pacing.idle_limit is not None:
            feed.lower_keepalive(self._pacing.idle_limit)
        try:
            await run_messages(self._messages, feed)
        except CarrierError:
            self._pacing.was_cut(self._messages.silence)
            raise

    def abort(self) -> None:
        if self._messages is not None:
            self._messages.stream.abort()
        self._client.close()
