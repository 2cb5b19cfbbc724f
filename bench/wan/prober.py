"""Numbered packets over UDP: what became of each, by a clock that both namespaces share.

    python -m bench.wan.prober receive ADDRESS            until standard input ends; prints JSON
    python -m bench.wan.prober send ADDRESS COUNT GAP SIZE

GAP is in seconds, SIZE that of whole IP packets. What is printed is [number, sent, arrived] of each
packet in the order of arrival, times in seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

PORT = 7200
# IPv4 and UDP.
HEADS = 28
STAMP = struct.Struct("!Id")
# Room for what comes while this process has to wait for a core.
BUFFER = 4 * 1024 * 1024
# Sleeping is not exact to less; shorter gaps are kept on average.
SLEEP = 0.001


def receive(address: str) -> list[tuple[int, float, float]]:
    """Take packets until standard input ends."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.bind((address, PORT))
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([sock, sys.stdin], [], [])
            if sock in ready:
                data = sock.recv(65536)
                found.append((*STAMP.unpack_from(data), time.monotonic()))
            elif not sys.stdin.readline():
                return found


def send(address: str, count: int, gap: float, size: int) -> None:
    """Send `count` packets; one that is due late goes at once."""
    filling = bytes(size - HEADS - STAMP.size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        sock.connect((address, PORT))
        began = time.monotonic()
        for number in range(count):
            while (early := began + number * gap - time.monotonic()) > 0:
                if early > SLEEP:
                    time.sleep(early - SLEEP / 2)
            sock.send(STAMP.pack(number, time.monotonic()) + filling)


def main(arguments: list[str]) -> int:
    """Receive or send."""
    match arguments:
        case ["receive", address]:
            print(json.dumps(receive(address)))
        case ["send", address, count, gap, size]:
            send(address, int(count), float(gap), int(size))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
