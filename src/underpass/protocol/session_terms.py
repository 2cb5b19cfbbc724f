"""`SessionTerms`: what the two hellos of a session agreed on."""

from __future__ import annotations

from dataclasses import dataclass, field

from underpass.protocol.stream_table import StreamLimits


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What holds for a session, as its two hellos agreed. Sizes in bytes, times in seconds.

    `own` is what we grant the other end, `other` what it grants us; `pool` is the credit that all
    our streams share beyond their first windows.
    """

    session_id: bytes
    own: StreamLimits = field(default_factory=StreamLimits)
    other: StreamLimits = field(default_factory=StreamLimits)
    pool: int = 32 * 1024 * 1024
    grace: float = 600.0
    keepalive: float = 30.0
