"""Many clients of one server in one process, told what to do by lines of JSON.

Started by `bench.scale_clients`: the first line on standard input says where the server is, each
further one is a command, and each is answered by one line.

    {"invite": INVITE, "state": FOLDER, "origin": [HOST, PORT]}
    {"do": "connect", "count": N}           until there are N sessions
    {"do": "open", "each": N}               until each session has N streams, which have echoed
    {"do": "exchange", "seconds": S}        one message under way in every stream; counts and times
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from underpass.address import Address
from underpass.app import loop_factory
from underpass.carriers.methods import Methods
from underpass.client import profile as profiles
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import Through
from underpass.net.memory import keep_freed_memory
from underpass.net.stream import Stream

# Hellos under way at once: a real crowd does not come in one instant either, and a server takes
# but so many strangers.
AT_ONCE = 64
# The longest that anything may take: the parent waits until there is an answer, or none can come.
PATIENCE_SECONDS = 60.0
MESSAGE = bytes(range(256)) * 4

Answer = dict[str, Any]


@dataclass(slots=True)
class Crowd:
    """The clients there are, and their streams."""

    profile: profiles.Profile
    passage: Passage
    origin: Address
    stack: AsyncExitStack
    tunnels: list[ClientTunnel] = field(default_factory=list)
    streams: list[list[Stream]] = field(default_factory=list)

    async def connect(self, count: int) -> Answer:
        """Begin sessions until there are `count`."""
        while (missing := count - len(self.tunnels)) > 0:
            # The first brings the invite's code, alone; its key is known from then on.
            batch = [self._new() for _ in range(min(1 if self.profile.code else AT_ONCE, missing))]
            for tunnel in batch:
                await self.stack.enter_async_context(tunnel)
            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
                for tunnel in batch:
                    tasks.create_task(tunnel.up())
            self.profile = replace(self.profile, code=b"")
            self.tunnels += batch
            self.streams += [[] for _ in batch]
        return {"sessions": len(self.tunnels)}

    def _new(self) -> ClientTunnel:
        return ClientTunnel(self.profile, self.passage)

    async def open(self, each: int) -> Answer:
        """Open streams until each session has `each`."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(tunnel: ClientTunnel, streams: list[Stream]) -> None:
            while len(streams) < each:
                async with gate:
                    stream = await tunnel.open(self.origin)
                    await exchange(stream)
                    streams.append(stream)

        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            for tunnel, streams in zip(self.tunnels, self.streams, strict=True):
                tasks.create_task(one(tunnel, streams))
        return {"streams": sum(map(len, self.streams))}

    async def exchange(self, seconds: float) -> Answer:
        """Messages there and back in all streams for so long."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        times: list[float] = []

        async def one(stream: Stream) -> None:
            while (began := clock()) < until:
                await exchange(stream)
                times.append(clock() - began)

        began = clock()
        async with asyncio.timeout(seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            for stream in (stream for streams in self.streams for stream in streams):
                tasks.create_task(one(stream))
        took = clock() - began
        times.sort()
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
        found = {name: percentile(times, share) * 1e3 for name, share in shares.items()}
        return {"exchanges": len(times), "per_second": len(times) / took, **found}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in order; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def exchange(stream: Stream) -> None:
    """Send one message and take its echo. Raises `StreamError`, `ValueError` for a wrong one."""
    await stream.send(MESSAGE)
    came = bytearray()
    while len(came) < len(MESSAGE):
        data = await stream.receive()
        if not data:
            break
        came += data
    if came != MESSAGE:
        raise ValueError("an echo that is not what was sent")


async def serve() -> None:
    """Do what the lines of standard input say, until it ends."""
    where = json.loads(await asyncio.to_thread(sys.stdin.readline))
    state = Path(where["state"])
    profile = profiles.without_profile(profiles.parse_invite(where["invite"]), state)
    passage = Passage(Through.parse("none"), "websocket", Methods(), None, state)
    async with AsyncExitStack() as stack:
        crowd = Crowd(profile, passage, Address.of(*where["origin"]), stack)
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            match command["do"]:
                case "connect":
                    answer = await crowd.connect(command["count"])
                case "open":
                    answer = await crowd.open(command["each"])
                case _:
                    answer = await crowd.exchange(command["seconds"])
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    keep_freed_memory()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve())
