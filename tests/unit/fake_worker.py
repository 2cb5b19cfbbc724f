"""A worker for the supervisor's tests: it inherits, accepts, obeys one word a connection.

``who``: answers its slot and process id. ``die``: ends at once with code 3. The argument says how
it behaves: ``fail`` ends with code 7 instead of starting, ``mute`` never says that it is ready,
``stubborn`` ignores the first SIGTERM, ``deaf`` ignores all of them.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys

from underpass.observe import Counter, Counters
from underpass.worker import inherit

behaviour = sys.argv[1] if len(sys.argv) > 1 else ""
inheritance = inherit(os.environ)
assert inheritance is not None
counters = Counters(inheritance.counters)


def on_terminate(*_: object) -> None:
    global behaviour
    if behaviour == "stubborn":
        behaviour = ""
    elif behaviour != "deaf":
        os._exit(0)


def on_hangup(*_: object) -> None:
    assert inheritance is not None
    counters.add(Counter.RELOADS)
    # A second byte on the lifeline means nothing, and must do nothing.
    inheritance.ready()


signal.signal(signal.SIGTERM, on_terminate)
signal.signal(signal.SIGHUP, on_hangup)
if behaviour == "fail":
    sys.exit(7)
if behaviour != "mute":
    inheritance.ready()

with selectors.DefaultSelector() as selector:
    for listener in inheritance.sockets:
        selector.register(listener, selectors.EVENT_READ)
    lifeline = inheritance.ready_fd
    selector.register(lifeline, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == lifeline:
                os._exit(0)
            try:
                client, _ = key.fileobj.accept()  # type: ignore[union-attr]  # a listener's
            except BlockingIOError:
                continue
            with client:
                client.setblocking(True)
                counters.add(Counter.CONNECTIONS_ACCEPTED)
                counters.add(Counter.CONNECTIONS_OPEN)
                word = client.recv(100)
                if word == b"die":
                    os._exit(3)
                client.sendall(f"{inheritance.slot} {os.getpid()}".encode())
                counters.add(Counter.CONNECTIONS_OPEN, -1)
