"""A box before a tunnel's server that lets a request or response go on only when it is whole.

    python -m bench.held_box --inline HOST:PORT

So virus scanners and some gateways do. It has a line of its own: 100 Mbit/s each way, 20 ms there
and 20 ms back. It is `underpass.testing.middlebox`; ends by a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import uvloop

from underpass.address import Address
from underpass.testing.middlebox import Behaviour, Hold, Middlebox

# Bytes a second each way, and seconds each way.
LINE_RATE = 12_500_000
LINE_DELAY = 0.02
BEHAVIOUR = Behaviour(strip_upgrade=True, responses=Hold.WHOLE, delay=LINE_DELAY, rate=LINE_RATE)


async def serve(server: Address) -> None:
    """Serve until cancelled."""
    async with Middlebox(BEHAVIOUR, inline=server) as box:
        print(f"listening {box.url}", flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> int:
    """Serve in front of `--inline`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inline", required=True, help="HOST:PORT of the server behind it")
    options = parser.parse_args(arguments)
    uvloop.run(serve(Address.parse(options.inline)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
