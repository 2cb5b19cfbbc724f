"""Password hashes: what is kept, what fits it, and what a broken store may not do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underpass.errors import UserError
from underpass.server.passwords import (
    COST,
    MAX_PASSWORD_BYTES,
    PasswordHash,
    hash_password,
)

# As cheap as scrypt gets, so that tests are.
CHEAP = 2


def test_a_password_fits_its_hash_and_no_other_does() -> None:
    hashed = hash_password("open sesame", CHEAP)
    assert hashed.matches("open sesame")
    for other in ("open sesame ", "Open sesame", "", "open sesame\0"):
        assert not hashed.matches(other)


def test_a_hash_is_written_and_read_with_its_cost() -> None:
    hashed = hash_password("pässword", 2 * CHEAP)
    read = PasswordHash.parse(str(hashed))
    assert read == hashed
    assert read.matches("pässword")
    assert str(hashed).startswith("scrypt$4$8$2$")
    assert "pässword" not in str(hashed)


def test_the_same_password_is_hashed_anew_each_time() -> None:
    assert hash_password("x", CHEAP).digest != hash_password("x", CHEAP).digest


@pytest.mark.slow
def test_the_default_cost_is_what_is_recommended() -> None:
    # OWASP's password storage sheet.
    assert hash_password("x").cost == COST == 2**16


def test_a_hash_of_nobody_fits_no_password() -> None:
    nobody = PasswordHash.of_nobody(CHEAP)
    assert not nobody.matches("x")
    assert (nobody.cost, nobody.block_size, nobody.parallel) == (CHEAP, 8, 2)
    assert PasswordHash.of_nobody().cost == COST


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "1 to 1024 bytes"),
        ("x" * (MAX_PASSWORD_BYTES + 1), "1 to 1024 bytes"),
        ("ä" * MAX_PASSWORD_BYTES, "1 to 1024 bytes"),
        ("tab\there", "no control characters"),
        ("line\n", "no control characters"),
    ],
)
def test_what_basic_cannot_carry_is_no_password(password: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        hash_password(password, CHEAP)


def test_an_overlong_guess_is_not_hashed() -> None:
    # With a cost that could not be paid, so that hashing would show.
    hashed = PasswordHash(b"salt", b"digest", 2**40)
    assert not hashed.matches("x" * (MAX_PASSWORD_BYTES + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "argon2$2$8$2$AAAA$AAAA",
        "scrypt$2$8$2$AAAA",
        "scrypt$2$8$2$AAAA$AAAA$",
        "scrypt$two$8$2$AAAA$AAAA",
        "scrypt$2$8$2$A$AAAA",
        "scrypt$2$8$2$AAAA$ä",
        "scrypt$3$8$2$AAAA$AAAA",
        "scrypt$0$8$2$AAAA$AAAA",
        "scrypt$-2$8$2$AAAA$AAAA",
        "scrypt$2097152$8$2$AAAA$AAAA",
        "scrypt$2$1024$2$AAAA$AAAA",
        "scrypt$2$8$0$AAAA$AAAA",
        "scrypt$2$8$1000$AAAA$AAAA",
    ],
)
def test_a_hash_that_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(UserError, match="password hash that can't be read"):
        PasswordHash.parse(text)


@settings(max_examples=50, deadline=None)
@given(
    st.text(min_size=1, max_size=30).filter(str.isprintable),
    st.text(min_size=1, max_size=30).filter(str.isprintable),
)
@pytest.mark.slow
def test_only_the_same_password_fits(password: str, guess: str) -> None:
    assert PasswordHash.parse(str(hash_password(password, CHEAP))).matches(guess) is (
        password == guess
    )
