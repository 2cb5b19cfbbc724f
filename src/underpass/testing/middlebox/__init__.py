"""A hostile middlebox, to see what a tunnel, or anything that speaks HTTP, makes of it.

- `behaviour`: what a box does
- `box`: `Middlebox`, a proxy or an inline box that does it
"""

from underpass.testing.middlebox.behaviour import (
    ALL_METHODS,
    Behaviour,
    Connect,
    Hold,
    Login,
    Pages,
)
from underpass.testing.middlebox.box import Middlebox
from underpass.testing.middlebox.state import Record

__all__ = ["ALL_METHODS", "Behaviour", "Connect", "Hold", "Login", "Middlebox", "Pages", "Record"]
