"""Text from outside: secrets and what would steer a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.safe_text import has_secret, masked, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:s3cret@db/q", "postgresql://ann:***@db/q"),
        ("postgresql://ann:p@ss/w:rd@db/q", "postgresql://ann:***@db/q"),
        ("redis://:s3cret@host/0", "redis://:***@host/0"),
        ("at https://host/a?sv=1&sig=s3cret%3D&se=2 now", "at https://host/a?sv=1&sig=***&se=2 now"),
        ("https://host/a?X-Amz-Signature=s3cret", "https://host/a?X-Amz-Signature=***"),
        ("https://host/#access_token=s3cret", "https://host/#access_token=***"),
    ],
)
def test_secrets_are_hidden_in_any_part_of_a_url(text, shown):
    assert masked(text) == shown and has_secret(text)


@pytest.mark.parametrize("text", ["http://127.0.0.1:4200/api", "http://host:8000/clip@2x.mp4", "s3://fleet/a b", "a@b"])
def test_what_is_no_secret_stays(text):
    assert masked(text) == text and not has_secret(text)


@given(st.text())
def test_nothing_that_is_printed_steers_the_terminal(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not set(shown) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x202E, 0x2066)}


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_letters_of_any_script_stay(text):
    assert printable(text) == text
