"""An HTTP proxy inside a program of your own, with its own rules, users and records.

    python examples/library_proxy.py [RULE]...

Each RULE opens what is denied by default, such as ``127.0.0.1:8000`` or ``10.1.0.0/16``. It prints
where it listens and a password for the user alice, then a line for each request, until Ctrl-C.
"""

import asyncio
import hmac
import secrets
import signal
import sys

from underpass import (
    AccessRecord,
    Basic,
    Bearer,
    Counter,
    Effect,
    Limits,
    ListenAddress,
    Observer,
    Parts,
    Policy,
    Principal,
    Proxy,
    ProxyOptions,
    Rule,
)


class OneUser:
    """An `Authenticator`: whoever knows the password is alice, and alice may not go everywhere."""

    challenges = (b'Basic realm="example", charset="UTF-8"',)
    binds_connection = False

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._alice = Principal("alice", (Rule.parse(Effect.DENY, "*.ads.example"),))

    async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
        """Return alice for her password, None for everything else."""
        if not isinstance(credentials, Basic) or credentials.user != "alice":
            return None
        matches = hmac.compare_digest(credentials.password.encode(), self._password)
        return self._alice if matches else None


def report(record: AccessRecord) -> None:
    """Print a line for each request or tunnel that ended."""
    line = f"{record.user} {record.method} {record.address} {record.status} {record.reason}"
    # A client chose some of this: what could steer a terminal is escaped.
    print(ascii(line)[1:-1], flush=True)


async def main(rules: list[str]) -> None:
    """Run the proxy until a signal comes."""
    password = secrets.token_urlsafe(12)
    options = ProxyOptions(
        listen=(ListenAddress("127.0.0.1", 0),),
        limits=Limits(tunnel_idle_timeout=600, drain_timeout=5),
    )
    parts = Parts(
        policy=Policy(tuple(Rule.parse(Effect.ALLOW, rule) for rule in rules)),
        authenticator=OneUser(password),
        observer=Observer(sink=report),
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async with Proxy(options, parts) as proxy:
        print(f"listening {proxy.urls[0]}", flush=True)
        print(f"user alice, password {password}", flush=True)
        await stop.wait()

    refused = proxy.observer.counters.value(Counter.REFUSALS)
    print(f"ended; {refused} refused")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
