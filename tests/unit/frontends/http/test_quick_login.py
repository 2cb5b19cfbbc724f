"""Simple requests of users who log in, or through an upstream proxy: the same, without the task."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from tests.unit.frontends.http.dialogue import (
    LOOPBACK,
    Dialled,
    RawClient,
    Stage,
    bench,
    field_of,
    origin,
    stage,
)
from tests.unit.frontends.http.test_long_bodies import via
from tests.unit.frontends.http.test_quick import OK, get, ok
from tests.unit.outbound.guarded_parents import CORP, BasicGuard, GuardedParent
from tests.unit.outbound.relaying import server
from tests.unit.server.test_users import HASH, MemoryStore
from underpass import AccessRecord
from underpass.access import Effect, Principal, Rule
from underpass.frontends.http.quick import Quick
from underpass.options import Limits
from underpass.protocol.http.credentials import Basic, Bearer
from underpass.server.user_store import User
from underpass.server.users import StoreAuthenticator

TOKEN = b"Bearer t0ken"


def basic(user: str, password: str = "sesame") -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def get_as(name: bytes, login: bytes, method: bytes = b"GET") -> bytes:
    return get(name, b"Proxy-Authorization: %b\r\n" % login, method)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.known["alice"] = User("alice", HASH)
    store.known["bob"] = User("bob", HASH)
    return store


@pytest.fixture
def users(store: MemoryStore) -> StoreAuthenticator:
    return StoreAuthenticator(store, cost=2)


async def brought(client: RawClient, request: bytes) -> bytes:
    """Ask, and return the head of the answer, after its body."""
    await client.say(request)
    head, _ = await client.response()
    return head


@pytest.mark.parametrize("login", [basic("bob"), TOKEN], ids=["basic", "bearer"])
async def test_who_is_known_is_answered_without_the_task(
    answered: list[bool], users: StoreAuthenticator, login: bytes
) -> None:
    heads: list[bytes] = []

    async def script(visitor: RawClient) -> None:
        while True:
            heads.append(await visitor.head())
            await visitor.say(OK)

    async with origin(script) as there, stage(authenticator=users) as s, s.client() as client:
        for _ in range(3):
            assert (await brought(client, get_as(there.name, login))).startswith(b"HTTP/1.1 200 ")
        assert answered == [True] * 2
        assert there.accepted == 1
        assert heads == heads[:1] * 3
        assert b"proxy-authorization" not in heads[0].lower()
        name = "bob" if login is not TOKEN else "robot"
        assert [(await s.record(i)).user for i in range(3)] == [name] * 3


async def test_users_who_share_a_client_share_no_servers_stream_and_no_rules(
    answered: list[bool], users: StoreAuthenticator
) -> None:
    outbound = Dialled()
    async with origin(ok) as there, bench(outbound, authenticator=users) as b:
        async with b.client() as client:
            for _ in range(3):
                for name in ("alice", "bob"):
                    await brought(client, get_as(there.name, basic(name)))
        assert answered == [True] * 4
        assert there.accepted == 2
        assert [principal.name for principal in outbound.principals] == ["alice", "bob"] * 3
        assert [record.user for record in b.records] == ["alice", "bob"] * 3


async def test_each_user_has_rules_of_their_own_at_every_request(
    answered: list[bool], store: MemoryStore, users: StoreAuthenticator
) -> None:
    async with origin(ok) as there, stage(authenticator=users) as s, s.client() as client:
        rules = (Rule.parse(Effect.DENY, there.name.decode()),)
        store.known["bob"] = User("bob", HASH, rules)
        for _ in range(2):
            allowed = await brought(client, get_as(there.name, basic("alice")))
            denied = await brought(client, get_as(there.name, basic("bob")))
            assert (allowed[9:12], denied[9:12]) == (b"200", b"403")
        assert answered == [True]


@pytest.mark.parametrize(
    ("login", "status"),
    [
        (b"Proxy-Authorization: %b\r\n" % basic("bob", "wrong"), b"407"),
        (b"Proxy-Authorization: %b\r\n" % basic("eve"), b"407"),
        (b"Proxy-Authorization: Digest x\r\n", b"407"),
        (b"", b"407"),
        (b"Proxy-Authorization: %b\r\n" % basic("bob") * 2, b"400"),
    ],
    ids=["wrong", "unknown", "other scheme", "none", "two"],
)
async def test_who_is_not_known_is_refused_by_the_task(
    answered: list[bool], users: StoreAuthenticator, login: bytes, status: bytes
) -> None:
    async with origin(ok) as there, stage(authenticator=users) as s, s.client() as client:
        for _ in range(2):
            await brought(client, get_as(there.name, basic("bob")))
        assert (await brought(client, get(there.name, login)))[9:12] == status
        assert (await s.record(2)).user == "-"
        assert answered == [True]


async def test_a_user_who_was_removed_is_out_with_the_next_request(
    answered: list[bool], store: MemoryStore, users: StoreAuthenticator
) -> None:
    async with origin(ok) as there, stage(authenticator=users) as s, s.client() as client:
        for _ in range(2):
            await brought(client, get_as(there.name, basic("bob")))
        store.remove("bob")
        assert (await brought(client, get_as(there.name, basic("bob"))))[9:12] == b"407"
        assert answered == [True]


async def test_who_can_tell_of_nobody_at_once_is_asked_by_the_task(answered: list[bool]) -> None:
    class Believing:
        """Has no more than an authenticator must have."""

        challenges = (b'Basic realm="here"',)
        binds_connection = False

        async def authenticate(self, credentials: Basic | Bearer, client: str) -> Principal | None:
            return Principal("somebody")

    async with origin(ok) as there, bench(Dialled(), authenticator=Believing()) as b:
        async with b.client() as client:
            for _ in range(2):
                await brought(client, get_as(there.name, TOKEN))
        assert answered == []
        assert [record.user for record in b.records] == ["somebody"] * 2


async def test_a_client_that_logs_in_after_a_refusal_is_settled(
    answered: list[bool], users: StoreAuthenticator
) -> None:
    limits = Limits(drain_timeout=0, max_unauthenticated=1)
    async with origin(ok) as there, stage(authenticator=users, limits=limits) as s:
        async with s.client() as before:
            await brought(before, get_as(there.name, TOKEN))
        async with s.client() as client:
            assert (await brought(client, get(there.name)))[9:12] == b"407"
            assert (await brought(client, get_as(there.name, TOKEN)))[9:12] == b"200"
            assert answered == []
            # A newcomer takes the place of one who has not logged in, if there is one.
            async with s.client() as newcomer:
                await brought(newcomer, get_as(there.name, TOKEN))
                assert (await brought(client, get_as(there.name, TOKEN)))[9:12] == b"200"
        assert there.accepted == 1


# --- through an upstream proxy


async def test_a_parent_is_sent_the_next_request_without_the_task(answered: list[bool]) -> None:
    heads: list[bytes] = []

    async def script(visitor: RawClient) -> None:
        while True:
            heads.append(await visitor.head())
            await visitor.say(OK)

    async with origin(script) as p, stage(via=f"http://127.0.0.1:{p.port}") as s:
        async with s.client() as client:
            for _ in range(3):
                head = await brought(client, get(b"site.example"))
                assert field_of(head, b"via") is not None
        assert answered == [True] * 2
        assert p.accepted == 1
        assert heads[0].startswith(b"GET http://site.example/ HTTP/1.1\r\n")
        assert heads == heads[:1] * 3


async def test_a_parents_407_is_judged_by_the_task(answered: list[bool]) -> None:
    refusal = b"HTTP/1.1 407 No\r\nProxy-Authenticate: X\r\nContent-Length: 0\r\n\r\n"

    async def script(visitor: RawClient) -> None:
        for answer in (OK, OK, refusal.replace(b"Proxy-Authenticate: X\r\n", b""), OK):
            await visitor.head()
            await visitor.say(answer)

    async with origin(script) as p, stage(via=f"http://127.0.0.1:{p.port}") as s:
        async with s.client() as client:
            statuses = [(await brought(client, get(b"site.example")))[9:12] for _ in range(3)]
        assert statuses == [b"200", b"200", b"502"]
        assert answered == [True, False]
        assert "upstream proxy" in (await s.record(2)).reason


async def test_a_login_to_the_parent_is_the_tasks(answered: list[bool]) -> None:
    parent = GuardedParent(lambda: BasicGuard(CORP))
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        for _ in range(3):
            assert (await brought(client, get(b"site.example"))).startswith(b"HTTP/1.1 200 ")
        assert answered == []
    assert (parent.logins, len(parent.heads)) == (3, 4)


async def test_a_parent_that_begins_to_ask_is_answered_by_the_task(answered: list[bool]) -> None:
    class Awaking(BasicGuard):
        asked = 0

        def ask(self, head: bytes) -> list[bytes] | None:
            self.asked += 1
            return None if self.asked <= 3 else super().ask(head)

    guard = Awaking(CORP)
    parent = GuardedParent(lambda: guard)
    async with server(parent) as port, stage(via=via(port)) as s, s.client() as client:
        for _ in range(6):
            assert (await brought(client, get(b"site.example"))).startswith(b"HTTP/1.1 200 ")
        assert answered == [True, True, False]
        assert [(await s.record(i)).status for i in range(6)] == [200] * 6
    assert (parent.logins, len(parent.heads)) == (3, 7)


# --- the same by either way

REQUESTS = (
    (b"", basic("bob")),
    (b"", TOKEN),
    (b"Accept: a\r\nAccept: b\r\nCookie: c=d\r\n", basic("alice")),
    (b"Connection: X-Mine\r\nX-Mine: 1\r\n", basic("bob")),
    (b"Via: 1.0 before\r\nKeep-Alive: 5\r\n", basic("alice")),
    (b"Proxy-Connection: keep-alive\r\n", TOKEN),
    (b"Authorization: Basic YTpi\r\n", basic("bob")),
    (b"X: y\r\n", basic("bob", "wrong")),
    (b"X: y\r\n", b"Basic !"),
    (b"", basic("bob")),
)


async def seen(s: Stage, there_heads: list[bytes], name: bytes) -> list[object]:
    """What client, server and access log see of all requests."""
    answers: list[object] = []
    async with s.client() as client:
        for method in (b"GET", b"HEAD"):
            for more, login in REQUESTS:
                await client.say(get(name, more + b"Proxy-Authorization: %b\r\n" % login, method))
                head = await client.head()
                if method == b"GET":
                    await client.exactly(int(field_of(head, b"content-length") or b"0"))
                answers.append(re.sub(rb"X-Request-Id: .*?\r\n|underpass-\w+", b"", head))
    records: list[AccessRecord] = [await s.record(i) for i in range(2 * len(REQUESTS))]
    lines = [replace(one, seconds=0.0, request_id="") for one in records]
    return [answers, there_heads, lines]


@pytest.mark.parametrize("is_upstream", [False, True], ids=["direct", "upstream"])
async def test_both_ways_send_answer_and_log_the_same(
    store: MemoryStore,
    answered: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_upstream: bool,
) -> None:
    async def script(visitor: RawClient) -> None:
        while True:
            head = await visitor.head()
            heads.append(re.sub(rb"underpass-\w+", b"", head))
            await visitor.say(OK[:-2] if head.startswith(b"HEAD") else OK)

    results = []
    async with origin(script) as there:
        for is_quick in (True, False):
            heads: list[bytes] = []
            if not is_quick:
                monkeypatch.setattr(Quick, "_is_sent_on", lambda self, data: False)
            users = StoreAuthenticator(store, cost=2)
            via = f"http://{there.name.decode()}" if is_upstream else None
            async with stage(authenticator=users, via=via, allow=LOOPBACK) as s:
                results.append(await seen(s, heads, there.name))
            if is_quick:
                assert sum(answered) > len(REQUESTS)
                answered.clear()
    assert answered == []
    assert results[0] == results[1]
