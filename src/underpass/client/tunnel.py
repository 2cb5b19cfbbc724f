"""`ClientTunnel`: the tunnel to a profile's server, kept up for as long as it is entered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from underpass.address import Address
from underpass.carriers.methods import Methods
from underpass.client.chains import chains_for
from underpass.client.makers import CarrierMaker, makers
from underpass.client.network import NetworkMemory, Worked
from underpass.client.profile import Profile, forget_code
from underpass.client_options import ClientOptions, Through
from underpass.errors import ConfigurationError
from underpass.net.early import EarlyData
from underpass.net.resolve import Resolver
from underpass.net.stream import Stream
from underpass.outbound.direct import Direct
from underpass.outbound.server_tls import ServerTls, TlsSeen, Trust
from underpass.outbound.ways import Ways
from underpass.tunnel.greeting import ClientIdentity, Greeter, HandshakeRefused
from underpass.tunnel.joining import SessionLost
from underpass.tunnel.keeper import Keeper, TunnelDown, TunnelEvent, TunnelUp

logger = logging.getLogger(__name__)

# Names of servers and proxies; what the tunnel carries is resolved at the far end.
DNS_SECONDS = 5.0

MEMORY_FILE = "networks.json"


@dataclass(frozen=True, slots=True)
class Passage:
    """How a client reaches its server. `state` is where it remembers what worked.

    `lets_open`: whether it goes on where a box on the way opens TLS.
    """

    via: Through
    carrier: str
    methods: Methods
    authorities: Path | None
    state: Path
    lets_open: bool = True

    @classmethod
    def of(cls, options: ClientOptions) -> Passage:
        """What the options say of it."""
        return cls(
            via=options.via,
            carrier=options.carrier,
            methods=options.methods,
            authorities=options.authorities,
            state=options.state,
            lets_open=options.opened_tls != "refuse",
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried on a passage: `makers`, best first, but what `memory` recalls before all."""

    passage: Passage
    makers: Sequence[CarrierMaker]
    memory: NetworkMemory

    @property
    def names(self) -> list[str]:
        """The kinds and ways of it, in words."""
        return [maker.name for maker in self.makers]

    def first(self) -> int | None:
        """Which of them worked here before; None where nothing is known."""
        recalled = self.memory.recall()
        name = recalled.carrier if recalled is not None else ""
        return self.names.index(name) if name in self.names else None

    @property
    def refused(self) -> frozenset[str]:
        """The methods that were refused on any of its ways."""
        return frozenset().union(*(maker.refused for maker in self.makers))

    def remember(self, carrier: str) -> Worked:
        """Remember that `carrier` works here, and what is refused; what that comes to."""
        recalled = self.memory.recall()
        before = recalled.refused if recalled is not None else frozenset()
        worked = Worked(carrier, before | self.refused)
        self.memory.remember(worked)
        return worked


Tell = Callable[[TunnelUp | TunnelDown], None]


def _say_nothing(event: TunnelUp | TunnelDown) -> None:
    """For who does not want to hear."""


class ClientTunnel:
    """See the module. `open` is a dial; `tell` hears when the tunnel is up or down.

    Raises `ConfigurationError` on entry where no carrier is left to try, or who opens TLS could not
    be told.
    """

    def __init__(self, profile: Profile, passage: Passage, tell: Tell = _say_nothing) -> None:
        self._profile = profile
        self._passage = passage
        self._tell = tell
        self._tasks = asyncio.TaskGroup()
        self._up = asyncio.Event()
        self._worked: Worked | None = None

    async def __aenter__(self) -> ClientTunnel:
        self._plan = plan = await self.plan(self._passage)
        profile = self._profile
        identity = ClientIdentity(profile.key, profile.server_key, profile.code)
        self._keeper = Keeper(Greeter(identity), plan.makers, self._heard, plan.first())
        self._ended: asyncio.Future[HandshakeRefused] = asyncio.get_running_loop().create_future()
        tasks = await self._tasks.__aenter__()
        self._running = tasks.create_task(self._run(), name="keeper")
        return self

    def is_other(self, plan: Plan) -> bool:
        """Whether `plan` is another than what is gone by."""
        return (plan.passage, plan.names) != (self._plan.passage, self._plan.names)

    def replace(self, plan: Plan) -> None:
        """Go on over another passage: a new carrier over it takes the place of the present one."""
        self._plan, self._worked = plan, None
        self._keeper.replace(plan.makers, plan.first())

    async def plan(self, passage: Passage) -> Plan:
        """What to try on a passage. Raises `ConfigurationError` where there is nothing."""
        profile = self._profile
        direct = Direct(Resolver(DNS_SECONDS))
        chains = await chains_for(passage.via, profile.url, direct.open)
        if not (passage.lets_open or profile.pin):
            raise ConfigurationError(
                "opened_tls: this profile's invite pins no certificate, so that a box which opens "
                "TLS passes for the server; ask for an invite to a server with --tls-self"
            )
        trust = Trust(profile.pin or None, passage.authorities, passage.lets_open)
        ways = Ways(profile.url, chains, direct.open, ServerTls(trust, self._tls_seen))
        memory = NetworkMemory(passage.state / MEMORY_FILE, str(profile.url), str(passage.via))
        recalled = memory.recall()
        methods = passage.methods.without(*recalled.refused) if recalled else passage.methods
        kinds = makers(profile.url, ways, passage.carrier, methods)
        if not kinds:
            raise ConfigurationError(
                f"carrier: {passage.carrier} needs other methods than those that may be used"
            )
        return Plan(passage, kinds, memory)

    def _tls_seen(self, seen: TlsSeen) -> None:
        if seen.is_opened and self._plan.passage.lets_open:
            logger.warning(
                "this network opens TLS (certificate of %s, issued by %s): it sees that the tunnel "
                "is there, and nothing of what is in it",
                seen.subject,
                seen.issuer,
            )

    async def _run(self) -> None:
        try:
            await self._keeper.run()
        except HandshakeRefused as refused:
            self._ended.set_result(refused)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.cancel()
        # Without the error: it is the caller's own, and goes on as it is.
        await self._tasks.__aexit__(None, None, None)
        # How a carrier ends is seen only now.
        if self._worked is not None and not self._plan.refused <= self._worked.refused:
            self._plan.remember(self._worked.carrier)

    def _heard(self, event: TunnelEvent) -> None:
        if isinstance(event, SessionLost):
            logger.warning("the session has ended, and its streams are reset: %s", event.reason)
            return
        if isinstance(event, TunnelUp):
            self._up.set()
            self._worked = self._plan.remember(event.carrier)
            self._let_in()
        else:
            self._up.clear()
        self._tell(event)

    def _let_in(self) -> None:
        """The server knows our key now: the code has done its work."""
        if self._profile.code:
            self._profile = replace(self._profile, code=b"")
            with contextlib.suppress(ConfigurationError):
                forget_code(self._profile.path)

    @property
    def keeper(self) -> Keeper:
        """What keeps it up, for who shows how it is."""
        return self._keeper

    @property
    def profile(self) -> Profile:
        """Whose server it leads to."""
        return self._profile

    def open(self, address: Address, early: EarlyData | None = None) -> Coroutine[Any, Any, Stream]:
        """Open a stream through the server; what comes `early` goes with it. Raises `DialError`."""
        return self._keeper.open(address, early)

    async def up(self) -> None:
        """Return when the tunnel is up. Raises `HandshakeRefused` when it never will be."""
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(self._up.wait())
            await asyncio.wait((waiting, self._ended), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        self.raise_refused()

    def raise_refused(self) -> None:
        """Raise `HandshakeRefused` if the server lets us in no more."""
        if self._keeper.refused is not None:
            raise self._keeper.refused

    async def refused(self) -> HandshakeRefused:
        """Return why the server lets us in no more; wait for it until then, perhaps for ever."""
        return await asyncio.shield(self._ended)
