"""`Methods`: which HTTP methods a carrier may use, and what stands for one that it may not."""

from __future__ import annotations

from dataclasses import dataclass

KNOWN = ("GET", "POST", "PUT", "DELETE")

# Those that POST stands for as well as they do.
REPLACEABLE = frozenset({"PUT", "DELETE"})

# What a box says to a method that it does not let through.
REFUSED_METHOD = frozenset({403, 405, 501})


@dataclass(frozen=True, slots=True)
class Methods:
    """The methods that the network lets through."""

    allowed: frozenset[str] = frozenset(KNOWN)

    @classmethod
    def parse(cls, text: str) -> Methods:
        """Parse ``GET,POST``. Raises `ValueError`."""
        allowed = frozenset(part.strip().upper() for part in text.split(",") if part.strip())
        if not allowed or not allowed <= frozenset(KNOWN):
            raise ValueError(f"expected some of {','.join(KNOWN)}")
        if not allowed & {"GET", "POST"}:
            raise ValueError("without GET and POST nothing can be carried")
        return cls(allowed)

    def without(self, *methods: str) -> Methods:
        """The same but for these."""
        return Methods(self.allowed - frozenset(methods))

    @property
    def can_post(self) -> bool:
        """Whether anything can go up in a body."""
        return "POST" in self.allowed

    @property
    def can_get(self) -> bool:
        """Whether GET is let through."""
        return "GET" in self.allowed

    def begin(self, token: str) -> tuple[str, str]:
        """Method and path that begin the carrier `token`, with a body."""
        if "PUT" in self.allowed:
            return "PUT", token
        return "POST", f"{token}/open"

    def down(self, token: str, number: int) -> tuple[str, str]:
        """Method and path that ask for a piece."""
        if self.can_get:
            return "GET", f"{token}/{number}"
        return "POST", f"{token}/down/{number}"

    def end(self, token: str) -> tuple[str, str]:
        """Method and path that end the carrier."""
        if "DELETE" in self.allowed:
            return "DELETE", token
        if self.can_post:
            return "POST", f"{token}/end"
        return "GET", f"{token}/end"
