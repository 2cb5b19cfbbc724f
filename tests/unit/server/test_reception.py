"""The door: who is known comes in, who holds the public key reads why not, strangers nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.unit.frontends.http.dialogue import RawClient, origin
from tests.unit.server.town import DAY, SERVER_KEY, WALL, carried, town
from underpass.address import Address
from underpass.errors import DialError, UserError
from underpass.observe import Counter
from underpass.protocol.attach import make_attach, make_unknown
from underpass.protocol.handshake import ClientHandshake, Welcome
from underpass.protocol.hello import ClientHello, Limits, Refusal, Status
from underpass.protocol.noise import public_key
from underpass.protocol.opening import Kind, Opening
from underpass.server.reception import CLIENT, ReceptionOptions
from underpass.server.sessions import SessionBounds
from underpass.server.user_store import UserLimits
from underpass.tunnel.greeting import read_answer
from underpass.tunnel.tunnel import Tunnel


async def echo(visitor: RawClient) -> None:
    await visitor.say(await visitor.exactly(4))
    await visitor.rest()


# --- coming in


async def test_a_member_comes_in_and_reaches_a_destination(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there, it.member().tunnel() as tunnel:
        stream = await tunnel.open(Address.parse(there.name.decode()))
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"
        await stream.close()


async def test_a_code_enrols_a_key_that_comes_in_without_it_from_then_on(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.client(it.code())
        assert await client.status() is None
        assert await client.status() is None
        assert it.store.key_owners() == {client.public_key: "alice"}
        later = it.client(key=client.identity.static_key)
        assert await later.status() is None


async def test_the_session_is_within_what_both_ends_want(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        wanted = Limits(initial_window=1000, streams=5, grace=60, keepalive=600_000)
        hello = ClientHello(round(WALL * 1000), wanted)
        identity = client.identity
        shake = ClientHandshake(identity.static_key, identity.server_key, hello, os.urandom(32))
        admission = await it.reception.receive(shake.message)
        assert admission is not None
        welcome = shake.receive(read_answer(admission.answer).body)
        assert isinstance(welcome, Welcome)
        held = welcome.hello.limits
        assert (held.grace, held.keepalive) == (60, 30_000)
        [served] = it.sessions
        assert served.id == welcome.hello.session_id
        assert len(served.id) == 20
        assert served.tunnel.session.terms.other.streams == 5
        assert served.tunnel.session.terms.grace == 60


async def test_session_ids_of_one_process_begin_alike_and_differ(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        (one, _), (other, _) = await client.enter(), await client.enter()
        first, second = one.session.terms.session_id, other.session.terms.session_id
        assert first[:4] == second[:4]
        assert first != second


# --- strangers


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01",
        Opening(Kind.HELLO, b"").encode(),
        Opening(Kind.HELLO, bytes(96)).encode(),
        Opening(Kind.HELLO, os.urandom(4096)).encode(),
        Opening(Kind.WELCOME, bytes(96)).encode(),
        Opening(Kind.ATTACH, b"").encode(),
        make_unknown(b"x" * 20),
        make_attach(b"k" * 32, b"x" * 20, 1, bytes(16), 0),
    ],
)
async def test_what_is_no_opening_of_ours_gets_no_answer(message: bytes, tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        assert await it.reception.receive(message) is None
        assert len(it.sessions) == 0


async def test_a_hello_for_another_server_gets_no_answer(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        code = it.code()
        hello = ClientHello(round(WALL * 1000), Limits(1, 1, 0, 1000), code=code)
        other = public_key(b"\x22" * 32)
        shake = ClientHandshake(os.urandom(32), other, hello, os.urandom(32))
        assert await it.reception.receive(shake.message) is None
        assert it.store.key_owners() == {}


async def test_who_says_hello_too_often_is_a_stranger_for_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with town(tmp_path) as it:
        it.reception.hellos.rate = 1
        CLIENT.set("203.0.113.7")
        noise = Opening(Kind.HELLO, os.urandom(150)).encode()
        for _ in range(10):
            assert await it.reception.receive(noise) is None
        member = it.member()
        assert await it.reception.receive(member.hello().message) is None
        assert it.counters.value(Counter.HELLOS_SHED) == 1
        assert "too many hellos come from 203.0.113.7" in caplog.text
        CLIENT.set("203.0.113.8")
        assert await member.status() is None


async def test_an_attach_is_no_hello(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        tunnel, admission = await it.member().enter()
        it.reception.hellos.rate = 1e-9
        CLIENT.set("203.0.113.7")
        async with carried(tunnel, 0, admission):
            _, message = tunnel.session.attach(os.urandom(16), asyncio.get_running_loop().time())
            assert await it.reception.receive(message) is not None


async def test_bytes_behind_an_opening_message_are_a_strangers(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        message = it.member().hello().message
        assert await it.reception.receive(message + b"x") is None
        assert await it.reception.receive(message) is not None


async def test_a_repeated_hello_gets_no_answer_and_no_session(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        message = client.hello().message
        assert await it.reception.receive(message) is not None
        assert await it.reception.receive(message) is None
        assert len(it.sessions) == 1


async def test_of_one_hello_given_twice_at_once_one_is_answered(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        message = it.member().hello().message
        answers = await asyncio.gather(*(it.reception.receive(message) for _ in range(2)))
        assert [answer is None for answer in answers] == [False, True]


# --- refusals


async def test_a_clock_that_is_wrong_is_told_and_then_right(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        handshake = client.hello()
        it.wall.now += 3600
        admission = await it.reception.receive(handshake.message)
        assert admission is not None
        assert admission.carry is None
        refusal = handshake.receive(read_answer(admission.answer).body)
        assert isinstance(refusal, Refusal)
        assert refusal.status is Status.CLOCK
        assert refusal.time == round(it.wall.now * 1000)
        assert await client.status() is None


async def test_an_unknown_key_is_refused_with_its_reason(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        answer, admission = await it.client().knock()
        assert isinstance(answer, Refusal)
        assert answer.status is Status.USER
        assert "not known here" in answer.reason
        assert admission.carry is None
        assert await it.client(os.urandom(16)).status() is Status.USER
        assert len(it.sessions) == 0


async def test_a_code_enrols_as_often_as_it_says(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        code = it.code(uses=2)
        statuses = [await it.client(code).status() for _ in range(3)]
        assert statuses == [None, None, Status.CODE]


async def test_of_two_clients_with_one_code_at_once_one_comes_in(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        code = it.code()
        statuses = await asyncio.gather(*(it.client(code).status() for _ in range(5)))
        assert sorted(statuses, key=str) == [Status.CODE] * 4 + [None]
        assert len(it.store.key_owners()) == 1


async def test_one_client_that_comes_twice_at_once_uses_its_code_once(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.client(it.code())
        assert await asyncio.gather(*(client.status() for _ in range(5))) == [None] * 5


async def test_an_expired_code_enrols_nobody(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        code = it.code(days=7)
        it.wall.now = WALL + 7 * DAY
        answer, _ = await it.client(code).knock()
        assert isinstance(answer, Refusal)
        assert answer.status is Status.CODE
        assert "expired" in answer.reason
        it.wall.now -= 1
        assert await it.client(code).status() is None


async def test_a_removed_user_is_refused_whatever_they_still_hold(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        code = it.code(uses=5)
        client = it.client(code)
        assert await client.status() is None
        it.store.remove("alice")
        assert await client.status() is Status.USER
        it.user("alice")
        assert await client.status() is Status.USER


async def test_a_version_not_spoken_is_told(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        hello = ClientHello(round(WALL * 1000), Limits(1, 1, 0, 1000))

        class Later(ClientHello):
            def encode(self) -> bytes:
                return b"\x09" + super().encode()[1:]

        later = Later(hello.timestamp, hello.limits)
        identity = client.identity
        shake = ClientHandshake(identity.static_key, identity.server_key, later, os.urandom(32))
        admission = await it.reception.receive(shake.message)
        assert admission is not None
        refusal = shake.receive(read_answer(admission.answer).body)
        assert isinstance(refusal, Refusal)
        assert refusal.status is Status.VERSION
        assert await it.reception.receive(shake.message) is None


async def test_a_server_that_drains_begins_no_session(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        it.reception.is_draining = True
        assert await client.status() is Status.DRAINING


async def test_a_store_that_fails_lets_nobody_in_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town(tmp_path) as it:
        client = it.member()

        def fail(_: bytes) -> None:
            raise UserError("the disk is gone")

        monkeypatch.setattr(it.store, "user_of_key", fail)
        answer, _ = await client.knock()
        assert isinstance(answer, Refusal)
        assert answer.status is Status.FULL
        assert "disk" not in answer.reason
        monkeypatch.undo()
        assert await client.status() is None


async def stands(tunnel: Tunnel) -> None:
    """Have a record go to the server: an open that is refused."""
    with pytest.raises(DialError):
        await tunnel.open(Address("10.0.0.1", 1))


async def test_a_user_has_so_many_sessions_and_one_without_carrier_makes_room(
    tmp_path: Path,
) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        other = it.member("bob")
        it.store.set_limits("alice", UserLimits(sessions=2))
        tunnel, admission = await client.enter()
        async with client.tunnel() as second:
            async with carried(tunnel, 0, admission):
                await stands(tunnel)
                await stands(second)
                assert await client.status() is Status.FULL
                assert await other.status() is None
            [oldest] = [one for one in it.sessions if one.is_detached]
            assert await client.status() is None
            assert it.sessions.find(oldest.id) is None


async def test_of_sessions_that_a_client_begins_at_once_the_silent_ones_make_room(
    tmp_path: Path,
) -> None:
    async with town(tmp_path) as it:
        client = it.member()
        it.store.set_limits("alice", UserLimits(sessions=1))
        for _ in range(3):
            assert await client.status() is None
        async with client.tunnel() as tunnel:
            await stands(tunnel)
            assert await client.status() is Status.FULL
        assert len(it.sessions) == 1


async def test_all_users_together_have_so_many_sessions(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        it.sessions.bounds = SessionBounds(total=1)
        async with it.member("alice").tunnel() as tunnel:
            await stands(tunnel)
            assert await it.member("bob").status() is Status.FULL
        assert await it.member("bob").status() is None
        assert len(it.sessions) == 1


# --- attach


async def test_a_session_goes_on_over_another_carrier(tmp_path: Path) -> None:
    async with town(tmp_path) as it, origin(echo) as there:
        tunnel, admission = await it.member().enter()
        async with carried(tunnel, 0, admission):
            stream = await tunnel.open(Address.parse(there.name.decode()))
        now = asyncio.get_running_loop().time()
        number, message = tunnel.session.attach(os.urandom(16), now)
        CLIENT.set("198.51.100.9")
        again = await it.reception.receive(message)
        assert again is not None
        tunnel.session.receive_attached(number, read_answer(again.answer).body, now)
        async with carried(tunnel, number, again):
            await stream.send(b"ping")
            assert await stream.receive() == b"ping"
            await stream.close()
        [served] = it.sessions
        assert served.visitor.client == "198.51.100.9"


async def test_an_attach_works_once(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        tunnel, _ = await it.member().enter()
        now = asyncio.get_running_loop().time()
        _, message = tunnel.session.attach(os.urandom(16), now)
        assert await it.reception.receive(message) is not None
        [served] = it.sessions
        before = served.tunnel.session.carriers
        assert await it.reception.receive(message) is None
        assert served.tunnel.session.carriers == before


async def test_nobody_attaches_to_a_session_of_another_user(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        (mine, _), (yours, _) = await it.member("alice").enter(), await it.member("bob").enter()
        now = asyncio.get_running_loop().time()
        _, message = mine.session.attach(os.urandom(16), now)
        forged = message.replace(mine.session.terms.session_id, yours.session.terms.session_id)
        assert forged != message
        assert await it.reception.receive(forged) is None
        assert [one.tunnel.session.carriers for one in it.sessions] == [(0,), (0,)]
        assert await it.reception.receive(message) is not None


async def test_a_session_that_is_over_is_attached_to_no_more(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        tunnel, _ = await it.member().enter()
        _, message = tunnel.session.attach(os.urandom(16), asyncio.get_running_loop().time())
        it.sessions.drop_user("alice")
        assert await it.reception.receive(message) is None


# --- the former session


async def test_a_former_session_is_told_of_to_its_own_client_alone(tmp_path: Path) -> None:
    async with town(tmp_path) as it:
        client, other = it.member("alice"), it.member("bob")
        tunnel, _ = await client.enter()
        former = tunnel.session.terms.session_id
        answers = [await one.knock(former) for one in (client, other)]
        assert [isinstance(a, Welcome) and a.hello.has_former for a, _ in answers] == [True, False]
        it.sessions.abort_all()
        answer, _ = await client.knock(former)
        assert isinstance(answer, Welcome)
        assert not answer.hello.has_former


def test_no_secret_is_in_a_repr() -> None:
    assert "static" not in repr(ReceptionOptions(SERVER_KEY))
