"""Exceptions carry data and speak in one clear line."""

from __future__ import annotations

import pytest

import signals_core
from parts.collectors import collector_of
from signals_core import Cancelled, ConfigError, DeliveryError, Rejected, RetryAfter, Unavailable
from signals_core.collector import Reading
from signals_core.errors import (
    PluginError,
    Problem,
    RowError,
    SignalsError,
    is_surprise,
    reason_of,
)
from signals_core.metric import Metrics


@pytest.mark.parametrize(
    "kind",
    [
        Cancelled,
        ConfigError,
        DeliveryError,
        PluginError,
        Rejected,
        RetryAfter,
        RowError,
        Unavailable,
    ],
)
def test_one_root(kind):
    """Everything that is raised on purpose has one root."""
    assert issubclass(kind, SignalsError)


def test_rows_are_values():
    """Rows that make no metrics are a `ValueError` for who knows nothing of signals."""
    assert issubclass(RowError, ValueError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("is wrong"), "is wrong"),
        (
            Problem("is wrong", "do right", "source.config.sql", "a.yaml", 7),
            "a.yaml:7: source.config.sql: is wrong (do right)",
        ),
        (Problem("is wrong", path="grain", file="collector 'a'"), "collector 'a': grain: is wrong"),
        (Problem("cannot be read", file="a.yaml"), "a.yaml: cannot be read"),
    ],
)
def test_problems(problem, text):
    """A problem is one line: file, line, key, what is wrong, what would be right."""
    assert str(problem) == text


def test_all_problems_at_once():
    """A configuration error has all problems, in order, a line each."""
    problems = [Problem("one"), Problem("two")]
    error = ConfigError(iter(problems))
    assert error.problems == tuple(problems) and str(error) == "one\ntwo"


def test_delivery_errors():
    """A delivery error has the reading, and says who has it and who does not."""
    collector = collector_of()
    reading = Reading(collector.id, None, None, Metrics(), 0)
    error = DeliveryError(reading, iter(["console"]), {"lake": "is down", "file": "is full"})
    assert (error.reading, error.delivered) == (reading, ("console",))
    assert error.failed == {"lake": "is down", "file": "is full"}
    assert str(error) == "sink lake: is down; sink file: is full (delivered to: console)"
    assert str(DeliveryError(reading, [], {"lake": "is down"})) == "sink lake: is down"


def test_retry_after():
    """A pause has its seconds and a reason."""
    assert RetryAfter(1.5).seconds == 1.5
    assert str(RetryAfter(30, "too many requests")) == "too many requests: try again after 30 s"


def test_rejected():
    """A refusal has the positions of the guilty, or None when nobody knows them."""
    assert Rejected("no").indices is None
    assert Rejected("no", [2, 1, 2]).indices == {1, 2}
    assert str(Rejected("no", [1])) == "no"


def test_plugin_errors():
    """A plugin error has a reason and a remedy."""
    assert str(PluginError("is broken", "mend it")) == "is broken (mend it)"
    assert str(PluginError("is broken")) == "is broken"


class DriverError(Exception):
    """What a driver raises."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("one\n  two"), "one two"),
        (Unavailable("is down"), "is down"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (DriverError("says so"), "says so"),
        (DriverError(), "DriverError"),
        (KeyError("a"), "KeyError: 'a'"),
        (TypeError("surprise"), "TypeError: surprise"),
        (AssertionError(), "AssertionError"),
        (ValueError("at a://u:Tr0ub@h"), "at a://u:***@h"),
    ],
)
def test_reasons(error, reason):
    """A reason is one masked line; one of Python's own surprises says its kind as well."""
    assert reason_of(error) == reason


def test_surprises():
    """What nobody raises for a person to read is a surprise."""
    assert is_surprise(KeyError("a")) and not is_surprise(DriverError("b"))


def test_the_public_ones():
    """What plugins raise and applications catch is public."""
    for kind in (Cancelled, ConfigError, DeliveryError, Rejected, RetryAfter, Unavailable):
        assert getattr(signals_core, kind.__name__) is kind
