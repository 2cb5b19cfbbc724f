"""Origins for tests: in this process, on ephemeral ports of loopback."""

from __future__ import annotations

from tests.origins.authority import Authority
from tests.origins.echo import echo_origin
from tests.origins.http import Handler, HttpOrigin, http_origin
from tests.origins.pattern import pattern, pattern_hash
from tests.origins.recording import RecordingOrigin, recording_origin
from tests.origins.thread import LoopThread, loop_thread
from tests.origins.visit import Visit
from tests.origins.websocket import websocket_origin

__all__ = [
    "Authority",
    "Handler",
    "HttpOrigin",
    "LoopThread",
    "RecordingOrigin",
    "Visit",
    "echo_origin",
    "http_origin",
    "loop_thread",
    "pattern",
    "pattern_hash",
    "recording_origin",
    "websocket_origin",
]
