"""Coverage: stored as merged intervals, written by what changed."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Grain, WindowPolicy
from signals_core.coverage import Coverage, Intervals, Level
from signals_core.retries import Failure
from signals_core.store import Store
from store.made import HOUR, KEY, START, covering, window

fresh = count()
moments = st.integers(-(10**9), 10**9).map(lambda micros: START + timedelta(microseconds=micros))
intervals = st.lists(st.tuples(moments, moments), max_size=8).map(Intervals.of)
failures = st.lists(
    st.builds(
        Failure,
        st.integers(0, 50).map(window),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(1, 99),
        moments,
    ),
    max_size=3,
).map(lambda each: {failure.window.start: failure for failure in each})
coverages = st.builds(
    Coverage,
    moments,
    intervals,
    intervals,
    st.dictionaries(
        st.integers(0, 3).map(lambda hours: hours * HOUR), st.builds(Level, moments, intervals)
    ),
    failures,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One store for all examples: keys keep them apart."""
    with Store.open(tmp_path_factory.mktemp("state")) as store:
        yield store


def rows(store, table):
    """Return how many rows a table has."""
    with store._database.snapshot() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@given(states=st.lists(coverages, min_size=1, max_size=4))
def test_round_trip(shared, states):
    """Whatever coverage is saved after whatever other, what is stored is the last one."""
    key = (f"collector {next(fresh)}", "1h", "")
    before = None
    for after in states:
        shared.save_coverage(key, before, after)
        assert shared.coverage(key) == after
        before = after


def test_local_bounds_of_a_failure(store):
    """A failed window comes back with its bounds as a wall clock shows them."""
    day = Grain.parse("1d", "Europe/Paris").window(START)
    failed = Coverage(START).after_failure(day, "division by zero", START)
    store.save_coverage(KEY, None, failed)
    (failure,) = store.coverage(KEY).failures.values()
    assert failure.window.parameters == day.parameters


def test_unknown_coverage(store):
    """A collector that was never seen has no coverage; nor has another grain or zone of one."""
    store.save_coverage(("a", "1d", "Europe/Paris"), None, covering(0))
    for key in (("b", "1d", "Europe/Paris"), ("a", "1h", ""), ("a", "1d", "UTC")):
        assert store.coverage(key) is None
    assert store.coverage(("a", "1d", "Europe/Paris")) == covering(0)


def test_windows_in_any_order_merge_to_one_row(store):
    """A thousand windows read in random order are one row at each level."""
    policy = WindowPolicy(start=START, revise=[HOUR])
    seen = window(2000).end
    before, after = None, Coverage(START).with_policy(policy, START)
    numbers = list(range(1000))
    random.Random(5).shuffle(numbers)
    for number in numbers:
        store.save_coverage(KEY, before, after)
        before, after = after, after.after_reading(window(number), policy, seen)
    store.save_coverage(KEY, before, after)
    assert rows(store, "span") == 2
    spans = ((START, window(999).end),)
    assert store.coverage(KEY).covered.spans == spans
    assert store.coverage(KEY).levels[HOUR].covered.spans == spans


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, covering(1)),
        (covering(), covering(1)),
        (covering(0), covering(3)),
        (covering(0, 2), covering(2)),
        (Coverage(START + HOUR, covering(1).covered), covering(1)),
    ],
    ids=["unseen", "nothing", "other", "more", "start"],
)
def test_stale_coverage_is_refused(store, before, after):
    """Where another coverage is stored than was read, it is not written over."""
    store.save_coverage(KEY, None, covering(1))
    with pytest.raises(ValueError, match=r"shop\.orders is not what is stored"):
        store.save_coverage(KEY, before, after)
    assert store.coverage(KEY) == covering(1)


def test_a_million_windows(folder):
    """A million contiguous windows take less than a megabyte, and open within 50 ms."""
    with Store.open(folder) as store:
        before = None
        for number in range(0, 1_000_000, 20_000):
            after = Coverage(START, Intervals(((START, window(number + 20_000).start),)))
            store.save_coverage(KEY, before, after)
            before = after
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with Store.open(folder) as store:
            assert store.coverage(KEY) == before
            took.append(time.perf_counter() - began)
            assert store.size_bytes < 1_000_000
    assert min(took) < 0.05
