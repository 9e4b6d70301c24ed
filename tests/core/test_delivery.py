"""Metrics into sinks: batches within bounds, and what a sink refuses."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.collectors import Kept
from signals_core import Batch, Rejected, Unavailable
from signals_core.delivery import batches, write
from signals_core.metric import Metrics

sizes = st.lists(st.lists(st.integers(1, 30), max_size=12), max_size=4)


def metrics_of(sizes):
    """Lines of these sizes; what is in them does not matter here."""
    number = iter(range(10**6))
    return Metrics(
        Batch(b"%d" % next(number) + b"." * size for size in each) for each in sizes if each
    )


@given(sizes, st.integers(1, 6), st.integers(1, 100))
def test_batches_keep_their_bounds(sizes, most, most_bytes):
    """All lines come once and in order, in batches within the bounds or of a single line."""
    metrics = metrics_of(sizes)
    sink = Kept(batch_metrics=most, batch_bytes=most_bytes)
    found = list(batches(metrics, sink))
    lines = [line for batch in metrics.batches for line in batch.encoded]
    assert [line for batch in found for line in batch.encoded] == lines
    for batch in found:
        assert 1 <= len(batch) <= most
        assert len(batch.json_lines()) <= most_bytes or len(batch) == 1
    for batch, following in pairwise(found):
        size = len(batch.json_lines()) + len(following.encoded[0]) + 1
        assert len(batch) == most or size > most_bytes


def test_batches_are_no_smaller_than_they_need_be():
    """A batch ends only where the next line would not fit, wherever that line comes from."""
    small = metrics_of([[9], [9, 9], [9] * 4])
    assert [len(batch) for batch in batches(small, Kept(batch_metrics=5))] == [5, 2]
    metrics = metrics_of([[9] * 10])
    assert [len(batch) for batch in batches(metrics, Kept(batch_metrics=4))] == [4, 4, 2]
    assert [len(batch) for batch in batches(metrics, Kept(batch_bytes=33))] == [3, 3, 3, 1]
    assert [len(batch) for batch in batches(metrics, Kept(batch_bytes=32))] == [2] * 5


def test_a_sink_without_refusals():
    """A sink that takes everything is written each batch once."""
    sink = Kept(batch_metrics=2)
    write(metrics_of([[1, 1, 1], [1]]), sink)
    assert [len(batch) for batch in sink.batches] == [2, 2]


def test_nothing_is_no_batch():
    """A sink is never given an empty batch."""
    sink = Kept()
    write(Metrics(), sink)
    assert sink.calls == []


@given(st.sets(st.integers(0, 19)), st.integers(1, 7), st.integers(1, 20))
def test_what_is_refused_by_index(guilty, most, at_once):
    """What a sink refuses by index is left out; all else is accepted, once, in order."""
    lines = [b"%02d" % number for number in range(20)]
    wanted = [line for number, line in enumerate(lines) if number not in guilty]

    def answer(batch):
        found = [index for index, line in enumerate(batch.encoded) if int(line) in guilty]
        if found:
            raise Rejected("not these", found[:at_once])

    sink = Kept(batch_metrics=most)
    sink.answer = answer
    if guilty:
        with pytest.raises(Rejected, match=f"{len(guilty)} of 20 metrics were refused: not these"):
            write(Metrics([Batch(lines)]), sink)
    else:
        write(Metrics([Batch(lines)]), sink)
    assert sink.lines == wanted


def test_one_refusal_after_the_other():
    """A sink may refuse a whole batch metric by metric, however many there are."""
    sink = Kept(batch_metrics=3000)

    def answer(batch):
        raise Rejected("no", [0])

    sink.answer = answer
    with pytest.raises(Rejected, match="2500 of 2500 metrics were refused: no"):
        write(metrics_of([[1] * 2500]), sink)
    assert len(sink.calls) == 2500 and not sink.batches


@pytest.mark.parametrize("indices", [None, [], [5], [-1]])
def test_a_refusal_that_names_nobody(indices):
    """A refusal that names none of the batch is the sink's last word."""
    sink = Kept()

    def answer(batch):
        raise Rejected("the whole of it", indices)

    sink.answer = answer
    with pytest.raises(Rejected, match=r"^the whole of it$"):
        write(metrics_of([[1, 1]]), sink)
    assert sink.calls == ["write"]


def test_other_failures():
    """Any other failure is raised as it is, and nothing more is written."""
    sink = Kept(batch_metrics=1)

    def answer(batch):
        if sink.batches:
            raise Unavailable("down")

    sink.answer = answer
    with pytest.raises(Unavailable, match="down"):
        write(metrics_of([[1, 1, 1]]), sink)
    assert sink.calls == ["write", "write"] and len(sink.batches) == 1
