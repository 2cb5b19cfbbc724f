"""What a box that opens TLS knows after a whole session: that there was one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.matrix.destination import ECHO
from tests.matrix.exercise import exactly
from tests.matrix.stage import Entrance, client, stage
from underpass.address import Address
from underpass.client import profile
from underpass.client.tunnel import ClientTunnel, Passage
from underpass.client_options import CARRIERS, ClientOptions, Through
from underpass.errors import DialError
from underpass.testing.middlebox import Behaviour, Middlebox
from underpass.tunnel.keeper import TunnelDown, TunnelUp

PAYLOAD = b"canary of the payload, sent and echoed"
TARGET = "canary-of-the-target.example"
SECONDS = 20.0


@pytest.mark.slow
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_its_record_holds_no_secret(carrier: str, tmp_path: Path) -> None:
    async with stage(tmp_path) as there, Middlebox(Behaviour(opens_tls=True)) as box:
        authorities = tmp_path / "box.pem"
        authorities.write_bytes(box.authority)
        invite = there.invites[True]
        entrance = Entrance(invite, carrier=carrier, via=box.url, authorities=authorities)
        async with asyncio.timeout(SECONDS), client(entrance) as one:
            stream = await one.keeper.open(Address("127.0.0.1", there.port))
            await stream.send(ECHO + PAYLOAD)
            assert await exactly(stream, len(PAYLOAD)) == PAYLOAD
            with pytest.raises(DialError):
                await one.keeper.open(Address(TARGET, 443))
            await stream.close()
            # The user is told of it.
            assert [seen.is_opened for seen in one.seen] == [True]
        seen = bytes(box.record.seen)
    # It has read what there is to read: whole requests, in the clear.
    assert b" HTTP/1.1\r\n" in seen
    for secret in (PAYLOAD, TARGET.encode(), invite.code, invite.name.encode(), invite.server_key):
        assert secret not in seen


@pytest.mark.slow
async def test_who_refuses_such_a_box_sends_it_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as there, Middlebox(Behaviour(opens_tls=True)) as box:
        authorities = tmp_path / "box.pem"
        authorities.write_bytes(box.authority)
        joined = profile.join(there.invites[True], tmp_path / "work.toml")
        options = ClientOptions(
            via=Through.parse(box.url),
            authorities=authorities,
            opened_tls="refuse",
            state=tmp_path / "client",
        )
        told: list[TunnelUp | TunnelDown] = []
        heard = asyncio.Event()

        def tell(event: TunnelUp | TunnelDown) -> None:
            told.append(event)
            heard.set()

        async with asyncio.timeout(SECONDS), ClientTunnel(joined, Passage.of(options), tell):
            await heard.wait()
        assert isinstance(told[0], TunnelDown)
        assert all("it is not the one that the invite names" in one for one in told[0].reasons)
        assert {head.method for head in box.record.heads} == {b"CONNECT"}
