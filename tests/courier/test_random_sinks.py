"""Whatever a sink does on the way, it finally holds what it accepts, and the rest is dead."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from parts.outgoing import Outgoing, Told, refuse, value_of
from signals_core import Rejected, RetryAfter, Unavailable

_FAILURES = [(Unavailable, "down"), (TimeoutError, "late"), (RetryAfter, 30), (RetryAfter, 0)]

#: Values, all different, as readings of collectors; a reading may be of refused metrics alone.
_readings = st.lists(st.integers(1, 12), min_size=1, max_size=12).map(
    lambda sizes: [range(sum(sizes[:n]), sum(sizes[: n + 1])) for n in range(len(sizes))]
)


@st.composite
def outboxes(draw):
    """Draw readings, and the values in them that the sink will never take."""
    readings = draw(_readings)
    values = [value for reading in readings for value in reading]
    whole = draw(st.lists(st.sampled_from(readings), max_size=3))
    single = draw(st.sets(st.sampled_from(values), max_size=8))
    return readings, single.union(*whole)


@given(
    outbox=outboxes(),
    batch_metrics=st.integers(1, 20),
    names=st.sampled_from(["none", "all", "some", "nonsense"]),
    failures=st.sampled_from([0.0, 0.1, 0.5]),
    broken_writes=st.integers(0, 30),
    seed=st.integers(0, 2**32),
)
def test_a_random_sink(outbox, batch_metrics, names, failures, broken_writes, seed):
    """It gets all that it accepts and nothing dies that it would have taken.

    It refuses by content, with names or without, fails at random before and after it has taken a
    batch, and refuses everything at first. In the end it takes a few metrics more, which prove
    that it is well.
    """
    readings, bad = outbox
    random = Random(seed)
    sink = Told(batch_metrics=batch_metrics)
    left = iter(range(broken_writes))

    def answer(batch):
        if random.random() < failures:
            if random.random() < 0.5 and not bad & set(map(value_of, batch.encoded)):
                sink.taken += batch.encoded
            failure, about = random.choice(_FAILURES)
            raise failure(about)
        if next(left, None) is not None:
            raise Rejected("who are you?", range(len(batch)) if names == "all" else None)
        _refuse(bad, names, random, batch)

    sink.answer = answer
    with TemporaryDirectory() as folder:
        outgoing = Outgoing(Path(folder), random=random.uniform)
        try:
            for number, reading in enumerate(readings):
                outgoing.read(reading, collector=f"core.{number % 3}")
            outgoing.deliver(lake=sink)
            for value in range(1000, 1005):
                outgoing.clock.advance(300)
                outgoing.read([value])
            failures = 0.0
            outgoing.clock.advance(300)
            for value in range(1005, 1008):
                outgoing.read([value])
                outgoing.clock.advance(300)
            good = {value for reading in readings for value in reading} - bad
            assert set(sink.values) == good | set(range(1000, 1008))
            assert outgoing.dead().keys() == bad
            assert outgoing.pending() == 0
        finally:
            outgoing.close()


def _refuse(bad, names, random, batch):
    guilty = [index for index, line in enumerate(batch.encoded) if value_of(line) in bad]
    if guilty and names == "some":
        raise Rejected("some of it", random.sample(guilty, random.randint(1, len(guilty))))
    if guilty and names == "nonsense":
        raise Rejected("somewhere", [-1, len(batch), 10**6])
    refuse(bad, by_index=names == "all")(batch)


@given(outbox=outboxes(), batch_metrics=st.integers(1, 20))
def test_order(outbox, batch_metrics):
    """Where what is refused stands among what is taken, a sink that is well is written in order."""
    readings, bad = outbox
    bad = {value for value in bad if value % 4 == 1}
    sink = Told(batch_metrics=max(batch_metrics, 4))
    sink.answer = refuse(bad)
    with TemporaryDirectory() as folder:
        outgoing = Outgoing(Path(folder), random=Random(1).uniform)
        try:
            for reading in readings:
                outgoing.read(reading)
            outgoing.read([1000])
            outgoing.deliver(lake=sink)
            outgoing.clock.advance(120)
            first = list(dict.fromkeys(sink.values))
            assert first == [v for r in readings for v in r if v not in bad] + [1000]
        finally:
            outgoing.close()
