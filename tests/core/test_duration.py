"""Durations: what is read, what is refused, and the one canonical text."""

from __future__ import annotations

from datetime import timedelta
from decimal import localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core.duration import format_duration, parse_duration

MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m", 60),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("250ms", 0.25),
        ("0.5ms", 0.0005),
        ("0.001ms", 0.000001),
        ("1w2d3h4m5s6ms", 788_645.006),
        ("5m1h", 3900),
        ("0", 0),
        ("0s", 0),
        ("007s", 7),
    ],
)
def test_units(text, seconds):
    """The units are ms, s, m, h, d of 24 hours and w; parts add up, fractions are exact."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "1", "h", "30 s", "1h 30m", " 1h", "1h\n", "-1h", "+1h", "1.h", ".5h", "1,5h", "1_0s"],
)
def test_no_number(text):
    """A duration is made of digits and units, without signs and spaces."""
    with pytest.raises(ValueError, match=r"is no duration \(write it like 30s, 1h30m or 1.5h\)"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["1e3s", "1H", "1hm", "1mo", "1y", "1q", "1us", "1µs", "\u0661s", "\uff11s"]
)
def test_no_duration(text):
    """Any other text is refused with an example of what would be right."""
    with pytest.raises(ValueError, match=r"is no duration \(write it like 30s, 1h30m or 1.5h\)"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["0.0001ms", "0.3333333s", "1h0.0000000000000000000000000000000000001h"]
)
def test_finer_than_a_microsecond(text):
    """A duration is a whole number of microseconds, however many digits hide that it is none."""
    with pytest.raises(ValueError, match="finer than a microsecond"):
        parse_duration(text)


def test_too_long():
    """A duration that no timedelta holds is refused."""
    with pytest.raises(ValueError, match="is too long"):
        parse_duration("99999999999d")


def test_precision_of_the_caller_changes_nothing():
    """An application that computes decimals with few digits reads the same durations."""
    with localcontext() as context:
        context.prec = 2
        assert parse_duration("1234567.891s") == timedelta(seconds=1_234_567, milliseconds=891)


@given(st.timedeltas(min_value=timedelta()))
def test_round_trip(duration):
    """What is written is read as the same duration."""
    assert parse_duration(format_duration(duration)) == duration


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=10_000)), st.data())
def test_canonical(duration, data):
    """However a duration is written, its canonical text is the same."""
    whole = duration // MICROSECOND
    unit, size = data.draw(
        st.sampled_from(
            [("ms", 10**3), ("s", 10**6), ("d", 86_400 * 10**6), ("w", 604_800 * 10**6)]
        )
    )
    first = data.draw(st.integers(0, whole // size))
    text = f"{first}{unit}{format_duration((whole - first * size) * MICROSECOND)}"
    assert format_duration(parse_duration(text)) == format_duration(duration)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("24h", "24h"),
        ("1d", "24h"),
        ("90m", "1h30m"),
        ("1.5h", "1h30m"),
        ("3600s", "1h"),
        ("60000ms", "1m"),
        ("1500ms", "1s500ms"),
        ("0.5ms", "0.5ms"),
        ("0.010ms", "0.01ms"),
        ("1h0m0s", "1h"),
        ("0", "0s"),
    ],
)
def test_canonical_text(text, canonical):
    """The canonical text has hours, minutes, seconds and milliseconds, and nothing that is zero."""
    assert format_duration(parse_duration(text)) == canonical


def test_negative_durations_are_written_with_a_sign():
    """A negative duration, which no configuration holds, is still written."""
    assert format_duration(timedelta(minutes=-90)) == "-1h30m"
