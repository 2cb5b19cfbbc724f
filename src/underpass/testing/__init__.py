"""Fakes that keep the contracts, for tests of underpass and of programs that use it.

- `memory`: two ends of a stream without a network
"""

from underpass.testing.memory import MemoryStream, stream_pair

__all__ = ["MemoryStream", "stream_pair"]
