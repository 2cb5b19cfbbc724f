"""``underpass stdio``: one stream through a tunnel of its own. Loads no more than that needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from underpass.address import Address
from underpass.client.profile import Profile
from underpass.client.telling import complaining
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.errors import DialError
from underpass.frontends.stdio import relay_stdio


def run_stdio(profile: Profile, passage: Passage, address: Address) -> int:
    """Relay standard input and output to `address`, and return the exit code.

    Raises `DialError` where the far end could not open it, `HandshakeRefused` where the server does
    not let us in, and `StreamError` where the stream was reset.
    """
    logging.basicConfig(level=logging.WARNING, format="underpass: %(message)s")
    # Not uvloop's loop: it takes longer to load than one stream is worth.
    return asyncio.run(_relay(profile, passage, address))


async def _relay(profile: Profile, passage: Passage, address: Address) -> int:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # ssh ends its ProxyCommand so; the session is to end in order.
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        async with ClientTunnel(profile, passage, complaining()) as tunnel:
            try:
                stream = await tunnel.open(address)
            except DialError:
                tunnel.raise_refused()
                raise
            await relay_stdio(stream)
    return 0
