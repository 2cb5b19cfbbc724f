"""``underpass run``: a program whose traffic goes through the tunnel, as far as it asks for it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence

from underpass.address import ListenAddress
from underpass.app import loop_factory
from underpass.client.front_ends import FrontEnds, Listeners, Listening
from underpass.client.profile import ClientSetup
from underpass.client.telling import complaining
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_app import complain, listeners_of
from underpass.errors import UnderpassError
from underpass.observe import Observer
from underpass.tunnel.keeper import OPEN_SECONDS

ANY_PORT = ListenAddress("127.0.0.1", 0)

# As shells have it: what ended by a signal, what could not be started, what is not there.
SIGNAL_EXIT = 128
EXIT_NOT_RUN = 126
EXIT_NOT_FOUND = 127

# What is for the program alone; Ctrl-C and Ctrl-\ the terminal sends to both of us.
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LEFT_TO_IT = (signal.SIGINT, signal.SIGQUIT)

# The same with small letters; programs read one or the other, or both.
_HTTP_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY")
_SOCKS_VARIABLE = "ALL_PROXY"
_EXCEPTIONS = "NO_PROXY"
# What runs on this machine is not at the other end.
_LOCAL = "localhost,127.0.0.1,::1"


def run_program(setup: ClientSetup, command: Sequence[str]) -> int:
    """Run `command` with the proxy variables set, and return its exit code.

    Raises `HandshakeRefused` where the server does not let us in, `ConfigurationError` where
    nothing was started.
    """
    logging.basicConfig(level=logging.WARNING, format="underpass: %(message)s")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(setup, command))


def variables(listening: Sequence[Listening], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that programs find their proxy by."""
    urls = {one.scheme: one.url for one in reversed(listening)}
    found = dict.fromkeys(_HTTP_VARIABLES, urls["http"])
    # With an h: names are resolved at the far end.
    found[_SOCKS_VARIABLE] = urls["socks5"].replace("socks5://", "socks5h://")
    if _EXCEPTIONS not in environ and _EXCEPTIONS.lower() not in environ:
        found[_EXCEPTIONS] = _LOCAL
    # Node has its own switch for whether it reads these.
    return {
        **found,
        **{name.lower(): value for name, value in found.items()},
        "NODE_USE_ENV_PROXY": "1",
    }


async def _run(setup: ClientSetup, command: Sequence[str]) -> int:
    options = setup.options
    given = listeners_of(options)
    # Beside what the profile has, one of each kind.
    listeners = Listeners(
        given.socks or (ANY_PORT,), given.http or (ANY_PORT,), given.forward, given.login
    )
    tunnel = ClientTunnel(setup.profile, Passage.of(options), complaining())
    async with tunnel, FrontEnds(listeners, tunnel.open, Observer(), tunnel.open) as front_ends:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await tunnel.up()
        except TimeoutError:
            raise UnderpassError(f"no tunnel within {OPEN_SECONDS:g} s") from None
        environment = variables(front_ends.listening, os.environ)
        complain(
            f"{command[0]} finds the tunnel by {', '.join(sorted(environment))}: "
            f"{environment['http_proxy']}, {environment['all_proxy']}"
        )
        return await _child(command, {**os.environ, **environment})


async def _child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except FileNotFoundError:
        complain(f"{command[0]}: there is no such program")
        return EXIT_NOT_FOUND
    except OSError as error:
        complain(f"{command[0]}: {error.strerror}")
        return EXIT_NOT_RUN
    loop = asyncio.get_running_loop()
    for number in FORWARDED:
        loop.add_signal_handler(number, _pass_on, process, number)
    for number in LEFT_TO_IT:
        loop.add_signal_handler(number, lambda: None)
    try:
        code = await process.wait()
    finally:
        for number in (*FORWARDED, *LEFT_TO_IT):
            loop.remove_signal_handler(number)
    return code if code >= 0 else SIGNAL_EXIT - code


def _pass_on(process: asyncio.subprocess.Process, number: int) -> None:
    if process.returncode is None:
        process.send_signal(number)
