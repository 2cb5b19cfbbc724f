"""The programs measured beside underpass.

python -m bench.peers install      fetch and build what can be had, say what could not
python -m bench.peers              what is here, and its version
"""

from __future__ import annotations

import sys

from bench.programs.install import install_all
from bench.programs.proxies import PEERS, Peer
from bench.programs.tunnels import TUNNELS

__all__ = ["PEERS", "Peer"]


def main(arguments: list[str]) -> int:
    """`install` installs first; then, and without it, list what is here."""
    if arguments not in ([], ["install"]):
        print(__doc__)
        return 2
    missing = install_all() if arguments else []
    for heading, programs in (("proxies", PEERS), ("tunnels", TUNNELS)):
        print(f"\n{heading}")
        for program in programs:
            version = program.version() or "not here"
            print(f"  {program.name:<18} {version:<18} {program.remark}")
    for line in missing:
        print(f"could not install {line}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
