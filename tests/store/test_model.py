"""The outbox against a model: whatever is done in whatever order, nothing is lost or doubled."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from signals_core.store import Item, Letter, Store
from store.made import START, commit, reading

SINKS = ("lake", "console")
PLENTY = 10**9


class OutboxMachine(RuleBasedStateMachine):
    """For each sink: what is pending, delivered and dead, as sets of (reading, index)."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name))
        self.now = START
        self.lines = {}
        self.committed = {}
        self.pending = {sink: set() for sink in SINKS}
        self.dead = {sink: {} for sink in SINKS}

    def teardown(self):
        self.store.close()
        self.folder.cleanup()

    @rule(count=st.integers(0, 12), to=st.sets(st.sampled_from(SINKS), min_size=1))
    def commit(self, count, to):
        """Read so many metrics for some of the sinks."""
        self.now += timedelta(hours=1)
        read = reading(range(len(self.lines), len(self.lines) + count), self.now)
        reading_id = commit(self.store, read, sorted(to)).reading_id
        encoded = [line for batch in read.metrics.batches for line in batch.encoded]
        places = [(reading_id, index) for index in range(count)]
        self.lines |= dict(zip(places, encoded, strict=True))
        self.committed[reading_id] = self.now
        for sink in to:
            self.pending[sink] |= set(places)

    @rule(
        sink=st.sampled_from(SINKS),
        metrics=st.integers(1, 30),
        size=st.integers(1, 5000),
        data=st.data(),
    )
    def deliver(self, sink, metrics, size, data):
        """Pack a batch; some of it is taken, some refused for good, some left."""
        packed = self.store.pending(sink, metrics=metrics, bytes=size)
        expected = sorted(self.pending[sink])
        if packed is None:
            assert not expected
            return
        places = [tuple(place) for place in packed.positions()]
        assert places == expected[: len(places)]
        assert packed.batch.encoded == tuple(self.lines[place] for place in places)
        assert len(places) <= metrics
        assert len(packed.batch.json_lines()) <= size or len(places) == 1
        fates = data.draw(
            st.lists(st.sampled_from("tdl"), min_size=len(places), max_size=len(places))
        )
        taken = [place for place, fate in zip(places, fates, strict=True) if fate == "t"]
        refused = [place for place, fate in zip(places, fates, strict=True) if fate == "d"]
        self.store.bury(
            sink,
            [Letter(*place, f"no {place}") for place in refused],
            at=self.now,
            delivered=[Item(number, index, index + 1) for number, index in taken],
        )
        self.pending[sink] -= {*taken, *refused}
        self.dead[sink] |= {place: f"no {place}" for place in refused}

    @rule(sink=st.sampled_from(SINKS), data=st.data())
    @precondition(lambda self: self.committed)
    def acknowledge_anything(self, sink, data):
        """Acknowledge any run of metrics, pending or not."""
        number = data.draw(st.sampled_from(sorted(self.committed)))
        first, last = sorted(data.draw(st.tuples(st.integers(0, 12), st.integers(0, 12))))
        self.store.acknowledge(sink, [Item(number, first, last)], at=self.now)
        self.pending[sink] -= {(number, index) for index in range(first, last)}

    @rule(sink=st.sampled_from(SINKS))
    def retry(self, sink):
        """Put the dead letters back."""
        assert self.store.retry_dead(sink) == (len(self.dead[sink]), 0)
        self.pending[sink] |= self.dead[sink].keys()
        self.dead[sink] = {}

    @rule(sink=st.sampled_from(SINKS))
    def drop(self, sink):
        """Take a sink out of the configuration, drop what is pending, and put it back."""
        assert self.store.drop(sink, at=self.now) == 0
        self.store.set_sinks(set(SINKS) - {sink})
        assert self.store.drop(sink, at=self.now) == len(self.pending[sink])
        self.store.set_sinks(SINKS)
        self.pending[sink] = set()

    @rule(hours=st.integers(0, 30))
    def prune(self, hours):
        """Forget what is older than so many hours, needed by nobody, and not the last."""
        self.store.prune(self.now - timedelta(hours=hours), days=0)
        needed = {place[0] for sink in SINKS for place in (*self.pending[sink], *self.dead[sink])}
        needed.add(max(self.committed, default=0))
        self.committed = {
            number: at
            for number, at in self.committed.items()
            if number in needed or at >= self.now - timedelta(hours=hours)
        }

    @rule()
    def reopen(self):
        """Close the store and open it again."""
        self.store.close()
        self.store = Store.open(Path(self.folder.name))

    @invariant()
    def everything_is_where_it_belongs(self):
        """Pending metrics, totals, dead letters and runs are those of the model."""
        totals = {line.sink: line for line in self.store.outbox()}
        for sink in SINKS:
            places = sorted(self.pending[sink])
            packed = self.store.pending(sink, metrics=PLENTY, bytes=PLENTY)
            got = [] if packed is None else [tuple(place) for place in packed.positions()]
            assert got == places
            if sink in totals:
                size = sum(len(self.lines[place]) + 1 for place in places)
                assert (totals[sink].metrics, totals[sink].bytes) == (len(places), size)
            letters = self.store.dead_letters(sink)
            assert {(each.reading_id, each.index): each.reason for each in letters} == self.dead[
                sink
            ]
            if sink in totals:
                size = sum(len(self.lines[place]) + 1 for place in self.dead[sink])
                assert totals[sink].dead_bytes == size
            for each in letters:
                assert each.metric.encode() == self.lines[each.reading_id, each.index]
        assert {run.id for run in self.store.runs(limit=PLENTY)} == set(self.committed)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(stateful_step_count=25)
