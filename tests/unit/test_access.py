"""Access rules: what a rule means, which one wins, and what is denied by default."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpass.access import (
    DEFAULT_DENIALS,
    Decision,
    Effect,
    Policy,
    Principal,
    Rule,
    denied_by_default,
    hidden_ipv4,
)
from underpass.address import Address

NOBODY = Principal("-")
PUBLIC = ipaddress.ip_address("93.184.215.14")


def allow(text: str) -> Rule:
    return Rule.parse(Effect.ALLOW, text)


def deny(text: str) -> Rule:
    return Rule.parse(Effect.DENY, text)


def decide(
    rules: list[Rule], target: str, ip: str | None = None, own: list[Rule] | None = None
) -> Decision:
    address = Address.parse(target)
    principal = Principal("alice", tuple(own or ()))
    return Policy(tuple(rules)).allows(principal, address, ipaddress.ip_address(ip or address.host))


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("*", "*"),
        ("*:443", "*:443"),
        ("*.Example.COM:443", "*.example.com:443"),
        ("example.com.", "example.com"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8:80", "[10.0.0.0/8]:80"),
        ("fc00::/7", "fc00::/7"),
        ("[2001:db8::/32]:443", "[2001:db8::/32]:443"),
        ("127.0.0.1:5432", "127.0.0.1:5432"),
        ("[::1]:8000-8100", "[::1]:8000-8100"),
        ("::1", "[::1]"),
        ("a.example:1-65535", "a.example"),
    ],
)
def test_rules_print_as_they_parse(text: str, printed: str) -> None:
    rule = allow(text)
    again = allow(str(rule))
    assert again == rule
    assert str(rule) in (printed, printed.replace("[10.0.0.0/8]", "10.0.0.0/8"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "h:",
        "h:0",
        "h:80-79",
        "h:x",
        "h:65536",
        "h:1-2-3",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "*.10.0.0.1",
        "*.*.example",
        "a*.example",
        "127.1",
        "0x7f.1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "bücher.example",
        "*example.com",
    ],
)
def test_malformed_rules_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        allow(text)


@pytest.mark.parametrize(
    ("rule", "target", "ip", "matches"),
    [
        ("*", "h.example:1", "192.0.0.9", True),
        ("*.example.com", "a.example.com:1", "1.1.1.1", True),
        ("*.example.com", "a.b.example.com:1", "1.1.1.1", True),
        ("*.example.com", "example.com:1", "1.1.1.1", False),
        ("*.example.com", "badexample.com:1", "1.1.1.1", False),
        ("example.com", "example.com:1", "1.1.1.1", True),
        ("example.com", "a.example.com:1", "1.1.1.1", False),
        ("1.1.1.0/24", "h.example:1", "1.1.1.1", True),
        ("1.1.1.0/24", "h.example:1", "1.1.2.1", False),
        ("1.1.1.1", "h.example:1", "1.1.1.1", True),
        ("2606::/16", "h.example:1", "2606::1", True),
        ("2606::/16", "h.example:1", "1.1.1.1", False),
        ("*:1", "h.example:1", "1.1.1.1", True),
        ("*:1", "h.example:2", "1.1.1.1", False),
        ("*:1-3", "h.example:3", "1.1.1.1", True),
        ("*:1-3", "h.example:4", "1.1.1.1", False),
    ],
)
def test_what_a_rule_covers(rule: str, target: str, ip: str, matches: bool) -> None:
    assert bool(decide([deny(rule)], target, ip)) is not matches


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([deny("*"), allow("*.example.com")], True),
        ([allow("*.example.com"), deny("a.example.com")], False),
        ([deny("*.example.com"), allow("*.a.example.com")], True),
        ([deny("a.example.com"), allow("a.example.com")], False),
        ([deny("a.example.com"), allow("a.example.com:443")], True),
        ([deny("*:443"), allow("*")], False),
        ([deny("*:443"), allow("*.example.com")], True),
        ([deny("93.0.0.0/8"), allow("93.184.0.0/16")], True),
        ([deny("93.184.215.14"), allow("93.184.0.0/16")], False),
        ([deny("93.184.215.14"), allow("a.a.example.com")], False),
    ],
)
def test_the_most_specific_rule_wins(rules: list[Rule], allowed: bool) -> None:
    for order in (rules, rules[::-1]):
        assert bool(decide(order, "a.a.example.com:443", str(PUBLIC))) is (
            allowed
            if "a.example.com" not in {rule.pattern for rule in rules}
            else bool(decide(rules, "a.a.example.com:443", str(PUBLIC)))
        )
    exact = [rule for rule in rules if rule.pattern == "a.example.com"]
    if exact:
        assert bool(decide(rules, "a.example.com:443", str(PUBLIC))) is allowed


@pytest.mark.parametrize("rule", [str(rule) for rule, _ in DEFAULT_DENIALS])
def test_the_default_list_is_denied_at_both_ends_of_each_network(rule: str) -> None:
    network = ipaddress.ip_network(rule.strip("[]"))
    for ip in (network[0], network[-1]):
        decision = decide([], "h.example:443", str(ip))
        assert not decision
        assert decision.by_default
        assert "denied by default" in decision.reason


@pytest.mark.parametrize(
    "ip",
    [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::a9fe:a9fe",
        "2001:0:7f00:1::",
        "2001:0:0:0:0:0:f5ff:fffe",
        "2606:4700::5efe:10.0.0.1",
        "2606:4700::200:5efe:192.168.1.1",
    ],
)
def test_an_ipv4_hidden_in_an_ipv6_is_denied_with_it(ip: str) -> None:
    assert not decide([], "h.example:443", ip)
    # Opening the network that hides it is not enough.
    assert not decide([allow("::/0"), allow("2000::/3")], "h.example:443", ip)


def test_public_addresses_are_allowed() -> None:
    for ip in ("1.1.1.1", "2606:4700::1111", "2002:0101:0101::", "64:ff9b::1.1.1.1"):
        assert decide([], "h.example:443", ip), ip


@pytest.mark.parametrize(
    ("rule", "target", "ip", "opened"),
    [
        ("10.0.0.0/8", "10.1.2.3:1", None, True),
        ("10.1.0.0/16", "10.1.2.3:1", None, True),
        ("10.1.2.3", "10.1.2.3:1", None, True),
        ("10.1.2.3:1", "10.1.2.3:1", None, True),
        ("10.1.2.3:2", "10.1.2.3:1", None, False),
        ("0.0.0.0/0", "10.1.2.3:1", None, False),
        ("8.0.0.0/5", "10.1.2.3:1", None, False),
        ("*", "10.1.2.3:1", None, False),
        ("*:1", "10.1.2.3:1", None, False),
        ("db.internal", "db.internal:1", "10.1.2.3", True),
        ("*.internal", "db.internal:1", "10.1.2.3", False),
        ("[::1]:8000-8100", "[::1]:8050", None, True),
        ("[::1]:8000-8100", "[::1]:8101", None, False),
        ("169.254.169.254", "metadata:80", "169.254.169.254", True),
    ],
)
def test_what_opens_an_address_denied_by_default(
    rule: str, target: str, ip: str | None, opened: bool
) -> None:
    assert bool(decide([allow(rule)], target, ip)) is opened


def test_mail_is_denied_unless_a_rule_names_the_port() -> None:
    assert not decide([], "mail.example:25", str(PUBLIC))
    assert not decide([allow("mail.example")], "mail.example:25", str(PUBLIC))
    assert not decide([allow("*")], "mail.example:25", str(PUBLIC))
    assert decide([allow("mail.example:25")], "mail.example:25", str(PUBLIC))
    assert decide([allow("*:20-30")], "mail.example:25", str(PUBLIC))
    assert decide([], "mail.example:26", str(PUBLIC))


def test_both_layers_are_asked() -> None:
    private = "10.1.2.3"
    # A deny in either holds, however specific the other's allow.
    assert not decide([deny("*")], "h:1", str(PUBLIC), own=[allow("h")])
    assert not decide([allow("h")], "h:1", str(PUBLIC), own=[deny("*")])
    # An allow in either opens what is only denied by default.
    assert decide([], "h:1", private, own=[allow("h")])
    assert decide([allow("h")], "h:1", private, own=[])
    # A user kept to one name.
    kept = [deny("*"), allow("git.example")]
    assert decide([], "git.example:1", str(PUBLIC), own=kept)
    assert not decide([], "other.example:1", str(PUBLIC), own=kept)


class UnhashableRule(Rule):
    """A rule that a policy of thousands could not afford to look at again at every dial."""

    def __hash__(self) -> int:
        raise AssertionError("hashed")


def test_a_decision_is_remembered_without_hashing_the_rules() -> None:
    opened = Policy((UnhashableRule(Effect.ALLOW, "10.0.0.0/8"),))
    closed = Policy((UnhashableRule(Effect.DENY, "10.0.0.0/8"),))
    address = Address("10.0.0.1", 443)
    ip = ipaddress.ip_address(address.host)
    for _ in range(2):
        assert opened.allows(NOBODY, address, ip)
        assert not closed.allows(NOBODY, address, ip)
    assert opened.allows(NOBODY, address, ip) is opened.allows(NOBODY, address, ip)


def test_the_reason_names_the_rule() -> None:
    assert decide([deny("*.evil.example")], "a.evil.example:1", str(PUBLIC)).reason == (
        "denied by rule *.evil.example"
    )
    assert "loopback" in decide([], "127.0.0.1:1").reason
    assert decide([allow("h")], "h:1", str(PUBLIC)).reason == "allowed by rule h"


def test_a_name_is_denied_before_it_is_resolved() -> None:
    policy = Policy((deny("*.evil.example"), allow("good.evil.example")))
    assert not policy.allows_name(NOBODY, Address.parse("a.evil.example:1"))
    assert policy.allows_name(NOBODY, Address.parse("good.evil.example:1"))
    assert policy.allows_name(NOBODY, Address.parse("other.example:1"))
    own = Principal("alice", (deny("*"),))
    assert not Policy().allows_name(own, Address.parse("other.example:1"))
    # A rule of addresses may still open what the name's rule denies.
    policy = Policy((deny("*"), allow("93.184.0.0/16")))
    assert policy.allows_name(NOBODY, Address.parse("other.example:1"))
    assert policy.allows(NOBODY, Address.parse("other.example:1"), PUBLIC)
    # One for another port, or a lesser one, may not.
    policy = Policy((deny("*.evil.example:443"), allow("93.184.0.0/16:80")))
    assert not policy.allows_name(NOBODY, Address.parse("a.evil.example:443"))


@given(st.ip_addresses(v=4), st.sampled_from(["2002:{}::1", "64:ff9b::{}", "::ffff:{}", "::{}"]))
def test_whatever_hides_a_denied_ipv4_is_denied(v4: ipaddress.IPv4Address, form: str) -> None:
    hexes = f"{int(v4) >> 16:x}:{int(v4) & 0xFFFF:x}"
    v6 = ipaddress.ip_address(form.format(hexes))
    assert v4 in hidden_ipv4(v6) or v6.is_loopback or v6.is_unspecified
    if denied_by_default(v4):
        assert not decide([], "h.example:443", str(v6))


RULES = ["*", "*:443", "*.example", "a.example", "93.0.0.0/8", "93.184.215.14", "*:1-1000"]


@given(
    st.lists(st.tuples(st.sampled_from(Effect), st.sampled_from(RULES)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rules_does_not_matter(
    pairs: list[tuple[Effect, str]], shuffler: random.Random
) -> None:
    rules = [Rule.parse(effect, text) for effect, text in pairs]
    shuffled = list(rules)
    shuffler.shuffle(shuffled)
    one = decide(rules, "a.example:443", str(PUBLIC))
    assert bool(one) is bool(decide(shuffled, "a.example:443", str(PUBLIC)))


def layer(*texts: str) -> tuple[Rule, ...]:
    """Rules such as ``deny *.example.com``."""
    pairs = (text.split(" ") for text in texts)
    return tuple(Rule.parse(Effect(effect), pattern) for effect, pattern in pairs)


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        # Neither a suffix nor a network says anything of the other: a deny holds.
        (("allow 10.0.0.0/8", "deny *.x.internal"), False),
        (("deny 10.0.0.0/8", "allow *.x.internal"), False),
        (("allow 10.0.0.0/8:443", "deny *.x.internal"), False),
        # A suffix that is more specific than the denied one opens it again, for what is allowed.
        (("allow 10.0.0.0/8", "deny *.internal", "allow *.x.internal"), True),
        # One address, or one name, is more specific than either.
        (("allow 10.1.2.3", "deny *.x.internal"), True),
        (("deny 10.0.0.0/8", "allow a.x.internal"), True),
        (("allow 10.0.0.0/8", "deny a.x.internal"), False),
        (("allow 10.0.0.0/8", "deny *"), True),
    ],
)
def test_a_suffix_and_a_network_are_not_compared(rules: tuple[str, ...], allowed: bool) -> None:
    address, ip = Address.of("a.x.internal", 443), ipaddress.ip_address("10.1.2.3")
    policy = Policy(layer(*rules))
    nobody = Principal("nobody")
    assert policy.allows(nobody, address, ip).allowed is allowed
    if allowed:
        assert policy.allows_name(nobody, address).allowed
