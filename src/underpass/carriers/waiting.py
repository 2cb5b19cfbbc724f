"""Requests that wait at the server for what comes down: what they ask, and what they teach."""

from __future__ import annotations

import re

from underpass.carriers.base import CarrierError, Feed
from underpass.carriers.http_client import Answer
from underpass.carriers.pacing import FIRST_SIZE, Flow, Pacing
from underpass.protocol.http.fields import Fields

# What an answer may take beyond the time that it was asked to wait.
ANSWER_SECONDS = 30.0

# How the server says for how many milliseconds a request has waited there.
_WAITED = re.compile(rb"wait;dur=([0-9]{1,6})")


def preferring(hold: float, flow: Flow) -> Fields:
    """The field that says how long the server may wait, and how much it may bring."""
    return Fields([(b"Prefer", b"wait=%d, bytes=%d" % (hold, flow.size))])


def account(flow: Flow, answer: Answer, seconds: float) -> None:
    """Learn from an answer that came after so many seconds, some of which it waited at the server.

    The server says how many; where a box takes that away, what has waited teaches nothing.
    """
    if not answer.body:
        flow.rests()
        return
    waited = _WAITED.fullmatch(answer.fields.get(b"server-timing") or b"")
    if waited is not None:
        flow.passed(len(answer.body), max(0.0, seconds - int(waited[1]) / 1000))
    elif len(answer.body) >= FIRST_SIZE // 2:
        flow.passed(len(answer.body), 0.0)


def learn(pacing: Pacing, error: CarrierError, seconds: float, feed: Feed) -> None:
    """Learn from a waiting request that failed after so many seconds."""
    if pacing.was_cut(seconds) and pacing.idle_limit is not None:
        feed.lower_keepalive(pacing.idle_limit)
    else:
        pacing.down.objected(error.status, pacing.down.size)
