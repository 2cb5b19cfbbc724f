"""One request of a client, from its head to its access line."""

from __future__ import annotations

import time

from underpass.access import Principal
from underpass.errors import Failure
from underpass.frontends.http.authentication import ANONYMOUS
from underpass.observe import AccessRecord
from underpass.protocol.http.fields import Fields
from underpass.protocol.http.framing import NO_BODY, Framing
from underpass.protocol.http.head import RequestHead
from underpass.protocol.http.refusal import Refusal

# Why an exchange ended that this proxy did not let come to its end.
CUT = "ended by this proxy"


class Refused(Exception):  # noqa: N818 - reads as what happened
    """Ends an exchange with a refusal instead of an answer; caught by the conversation."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.details)
        self.refusal = refusal


class ServerEnded(Exception):  # noqa: N818 - reads as what happened
    """The server's stream ended before a byte of the response; never leaves the front end."""


class SendAgain(Exception):  # noqa: N818 - says what is to be done
    """The next proxy wants the request again, with a login; never leaves the front end."""


def refuse(failure: Failure, details: str = "", fields: Fields | None = None) -> Refused:
    """The exception that refuses the present request."""
    return Refused(Refusal(failure, details, fields or Fields()))


class Exchange:
    """What is known of one request so far. `sent` and `received` count body or tunnel bytes.

    What is as given here stays in the class: most requests change a few of these.
    """

    principal: Principal = ANONYMOUS
    address: str = "-"
    status: int = 0
    sent: int = 0
    received: int = 0
    reason: str = "ok"
    # Told in a refusal and in the access line, so that the one leads to the other.
    request_id: str = ""
    # True once a byte of the answer is out: from then on a failure can only cut the stream.
    answered: bool = False
    # True while the client is to send more of its body, and while it may wait for 100 before that.
    body_awaited: bool = False
    continue_awaited: bool = False

    def __init__(self, head: RequestHead | None, client: str, framing: Framing = NO_BODY) -> None:
        self.head = head
        self.framing = framing
        # True while the request's body has not been read to its end.
        self.body_unread = framing is not NO_BODY
        self.method = head.method.decode("ascii") if head else "-"
        self.client = client
        self.started = time.monotonic()

    def record(self) -> AccessRecord:
        """The access line's content."""
        return AccessRecord(
            user=self.principal.name if self.principal is not ANONYMOUS else "-",
            client=self.client,
            method=self.method,
            address=self.address,
            status=self.status,
            sent=self.sent,
            received=self.received,
            seconds=time.monotonic() - self.started,
            reason=self.reason,
            request_id=self.request_id,
        )
