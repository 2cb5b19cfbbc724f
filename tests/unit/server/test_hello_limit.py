"""How often one address may say hello."""

from __future__ import annotations

import pytest

from underpass.server import hello_limit
from underpass.server.hello_limit import HelloLimit, source_of

CLIENT = "203.0.113.7"
OTHER = "203.0.113.8"


def taken(limit: HelloLimit, client: str, count: int, now: float) -> int:
    """How many of `count` hellos at once were let pass."""
    return sum(limit.take(client, now) for _ in range(count))


def test_many_may_come_at_once_and_then_as_many_as_the_rate_says() -> None:
    limit = HelloLimit(10)
    assert taken(limit, CLIENT, 150, 1000.0) == 100
    assert taken(limit, CLIENT, 50, 1001.0) == 10
    assert taken(limit, CLIENT, 50, 1003.5) == 25
    # What is not used is kept for one burst only.
    assert taken(limit, CLIENT, 500, 9999.0) == 100


def test_addresses_do_not_share() -> None:
    limit = HelloLimit(1)
    assert taken(limit, CLIENT, 20, 0.0) == 10
    assert taken(limit, OTHER, 20, 0.0) == 10


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limit = HelloLimit(1)
    assert taken(limit, CLIENT, 20, 100.0) == 10
    assert taken(limit, CLIENT, 20, 50.0) == 0
    assert taken(limit, CLIENT, 20, 53.0) == 3


def test_without_a_rate_there_is_no_bound() -> None:
    limit = HelloLimit(0)
    assert taken(limit, CLIENT, 1000, 0.0) == 1000
    assert len(limit) == 0
    # It may be set while it runs.
    limit.rate = 1
    assert taken(limit, CLIENT, 20, 0.0) == 10


@pytest.mark.parametrize(
    ("client", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("unix", None),
        ("-", None),
    ],
)
def test_a_source_is_an_address_or_a_network_of_ipv6(client: str, source: str | None) -> None:
    assert source_of(client) == source


def test_the_table_is_bounded_and_who_came_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hello_limit, "MAX_ADDRESSES", 100)
    limit = HelloLimit(1)
    assert taken(limit, CLIENT, 20, 0.0) == 10
    for number in range(1000):
        limit.take(f"198.51.{number // 250}.{number % 250}", 0.0)
        assert not limit.take(CLIENT, 0.0)
    assert len(limit) == 100


def test_a_flood_is_told_once_until_it_is_over() -> None:
    told: list[str] = []
    limit = HelloLimit(1, told.append)
    for second in range(60):
        taken(limit, CLIENT, 5, float(second))
    assert told == [CLIENT]
    taken(limit, CLIENT, 20, 1000.0)
    assert told == [CLIENT, CLIENT]
