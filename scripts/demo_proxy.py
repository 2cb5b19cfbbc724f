"""`make demo-proxy`: the proxy at work between real curl and two servers, all on this machine.

It starts a plain HTTP server and one with TLS (by a certificate authority that lives as long as the
demo), the proxy as a program of its own, and fetches through it. Then it prints what happened and
ends: with 0, or with 1 and a plain reason. Every wait has a bound, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.demo_parts import (
    GREETING,
    START_SECONDS,
    Curl,
    DemoError,
    Origin,
    OriginServer,
    RunningProxy,
    certificates,
    environment,
    expect,
    play,
    say,
    serving,
    underpass,
)

# Where clouds keep the credentials of their machines: what proxies are most often abused for.
PRIVATE_URL = "http://169.254.169.254/latest/meta-data/"


@contextlib.contextmanager
def proxy(log: Path, *flags: str) -> Iterator[RunningProxy]:
    """Run ``underpass proxy`` as a program. Raises `DemoError` where it does not start."""
    with underpass(log, "proxy", "--listen", "127.0.0.1:0", *flags) as running:
        yield running


def add_user(name: str, password: str, state: Path) -> None:
    """Make a user store with one user in it, as a person would. Raises `DemoError`."""
    done = subprocess.run(
        [sys.executable, "-m", "underpass", "user", "add", name, "--state", str(state)],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        env=environment(),
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"`underpass user add` failed: {done.stderr.strip()}")


def show_get(curl: Curl, through: RunningProxy, origin: OriginServer) -> None:
    """A plain request, forwarded."""
    print("1. A plain GET: the proxy forwards the request.")
    answer = expect(curl.fetch(through, f"{origin.url}/hello"), 200)
    if answer.body != GREETING:
        raise DemoError(f"the greeting arrived as {answer.body!r}")
    say(f"{answer.status} after {answer.seconds * 1000:.0f} ms: {answer.body.decode().strip()}\n")
    say(f"Via: {answer.field('Via')}\n\n")


def show_connect(curl: Curl, through: RunningProxy, origin: OriginServer) -> None:
    """A file from a TLS server, through CONNECT."""
    print("2. CONNECT to a TLS server: the proxy carries bytes that it cannot read.")
    answer = expect(curl.fetch(through, f"{origin.url}/file"), 200)
    got, sent = (hashlib.sha256(data).hexdigest() for data in (answer.body, Origin.file))
    if got != sent:
        raise DemoError(f"{len(answer.body)} bytes arrived with SHA-256 {got}, not {sent}")
    megabytes = len(answer.body) / 1e6
    say(f"{megabytes:.1f} MB after {answer.seconds * 1000:.0f} ms, as they were sent: SHA-256")
    say(f"{got}\n\n")


def show_refusal(curl: Curl, through: RunningProxy) -> None:
    """A destination that is denied by default."""
    print("3. A private destination: refused, with the reason for machines and for people.")
    answer = expect(curl.fetch(through, PRIVATE_URL), 403)
    say(f"{answer.status} Proxy-Status: {answer.field('Proxy-Status')}")
    say(f"{answer.body.decode('ascii', 'replace')}\n")


def show_users(curl: Curl, through: RunningProxy, origin: OriginServer, password: str) -> None:
    """A wrong and a right password."""
    print("4. A proxy with users: a wrong password is told so, the right one is let in.")
    answer = expect(curl.fetch(through, f"{origin.url}/hello", "demo:wrong"), 407)
    say(f"{answer.status} Proxy-Authenticate: {answer.field('Proxy-Authenticate')}")
    answer = expect(curl.fetch(through, f"{origin.url}/hello", f"demo:{password}"), 200)
    say(f"{answer.status} after {answer.seconds * 1000:.0f} ms\n\n")


def show_logs(logs: Sequence[Path]) -> None:
    """The access lines that the proxies wrote."""
    print("5. What the proxies wrote to their logs, a line for each request:")
    for log in logs:
        say(log.read_text(errors="replace"))


def run(folder: Path) -> None:
    """The whole demo, with its files below `folder`. Raises `DemoError`."""
    context, ca_file = certificates(folder)
    password = secrets.token_urlsafe(12)
    state, logs = folder / "state", (folder / "open.log", folder / "users.log")
    add_user("demo", password, state)
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(serving(OriginServer()))
        secure = stack.enter_context(serving(OriginServer(context)))
        # Loopback is denied by default: these two servers alone are opened.
        rules = ("--allow", plain.name, "--allow", secure.name)
        first = stack.enter_context(proxy(logs[0], *rules))
        users = ("--auth", "basic", "--state", str(state))
        second = stack.enter_context(proxy(logs[1], *rules, *users))
        curl = Curl("curl", ca_file, folder)
        show_get(curl, first, plain)
        show_connect(curl, first, secure)
        show_refusal(curl, first)
        show_users(curl, second, plain, password)
    # They have ended: every line is written.
    show_logs(logs)


if __name__ == "__main__":
    title = "curl, a proxy and two servers, all on this machine."
    sys.exit(play(title, ("curl",), run))
