"""The conformance suite of a sink."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import attrs
import pytest

from signals_core import Metric, Rejected, RetryAfter, Sink
from signals_core.testing import made, promises
from signals_core.testing.killed import Child
from signals_core.testing.promise import Promise, Seen, described, keeps
from signals_core.testing.suite import ConnectedSuite

_MOMENTS = (0.0, 0.005, 0.02)


class SinkSuite(ConnectedSuite):
    """Tests a sink against every promise of the plugin API.

    Give it in a subclass, each as a value, a method, or a fixture of the class:

    - `type`, the registered name, and `sink`, an instance, open or not
    - `received`, a function that returns the metrics that the receiver holds, as `Metric`
    - `poison`, a metric that the receiver will never take
    - `busy`, a function that returns a context in which the receiver asks for a pause
    - `unreachable`, an instance that leads nowhere; `down`, a function that returns a context in
      which the receiver is down

    The class of the sink must be one that another process can import. A promise that lacks what it
    needs is not tested, and the summary says so.
    """

    sink: Any = None
    received: Any = None
    poison: Any = None
    busy: Any = None

    numbers: ClassVar[Sequence[Any]] = made.NUMBERS
    """Values that must arrive exactly; give fewer where the receiver's own numbers end."""

    kit_promises: ClassVar[tuple[Promise, ...]] = promises.SINK_PROMISES
    kit_subject: ClassVar[str] = "sink"

    @pytest.fixture(autouse=True)
    def _receiving(self, _kit: None) -> None:
        self.given("received")  # one that looks on must do so before anything is written

    @keeps(promises.WRITES)
    def test_writes(self) -> None:
        """A batch of one and one of several are with the receiver when write() has returned."""
        sink = self.opened()
        for metrics in (made.several(1), made.several(5)):
            self._write(sink, metrics)
            self._expect(metrics)

    @keeps(promises.BIG_BATCH)
    def test_big_batch(self) -> None:
        """As many metrics as the sink's limits allow arrive together."""
        sink = self.opened()
        one = len(made.metric(10**6).encode()) + 1
        metrics = made.several(max(1, min(sink.batch_metrics, sink.batch_bytes // one, 10_000)))
        self._write(sink, metrics)
        self._expect(metrics)

    @keeps(promises.VALUES)
    def test_values(self) -> None:
        """Unusual numbers and tags arrive exactly, and so do retractions."""
        metrics = [made.metric(value) for value in self.numbers]
        metrics += [made.metric(tags=tags) for tags in made.TAGS]
        metrics += [made.metric(type=kind) for kind in ("COUNT", "GAUGE")]
        metrics += [made.metric(grain=None, timezone=None, window_end=None)]
        self._write(self.opened(), metrics)
        self._expect(metrics)

    @keeps(promises.ORDER)
    def test_order(self) -> None:
        """Metrics reach the receiver in the order in which they were written."""
        sink, metrics = self.opened(), made.several(30)
        for start in (0, 10, 20):
            self._write(sink, metrics[start : start + 10])
        place = {each.uuid: number for number, each in enumerate(metrics)}
        seen = [place[each.uuid] for each in self._received() if each.uuid in place]
        first = list(dict.fromkeys(seen))
        if first != sorted(first):
            late = next(b for a, b in pairwise(first) if b < a)
            raise Seen(f"metric {late} of {len(metrics)} came after a later one")

    @keeps(promises.NEWEST_STAYS)
    def test_newest_stays(self) -> None:
        """The newest version of a metric stays, whatever comes again."""
        sink, old = self.opened(), made.several(3)
        new = [made.later(each, 100) for each in old]
        gone = [made.later(each, None) for each in new]
        for metrics in (old, old, new, [*new[:1], *gone[:1]], old):
            self._write(sink, metrics)
        self._expect([gone[0], *new[1:]])

    @keeps(promises.DURABLE)
    def test_durable(self) -> None:
        """What a process wrote is there although it was killed on the next line."""
        metrics = made.several(20)
        batches = [made.batch_of(metrics[:10]), made.batch_of(metrics[10:])]
        Child(self.instance, batches).wait(3 * self.patience)
        self._expect(metrics)

    @keeps(promises.KILLED)
    def test_killed(self) -> None:
        """What a killed write() left is completed by writing the batch again."""
        for moment in _MOMENTS:
            metrics = made.several(200)
            batch = made.batch_of(metrics)
            Child(self.instance, [batch] * 5).kill_while_writing(moment)
            self._write(self.opened(), metrics)
            self._expect(metrics)

    @keeps(promises.REJECTS)
    def test_rejects(self) -> None:
        """What will never be taken raises Rejected, and the rest is taken without it."""
        sink, good, poison = self.opened(), made.several(2), self.given("poison")
        for metrics, guilty in (([good[0], poison, good[1]], 1), ([poison], 0)):
            error = self._refusal(sink, metrics)
            if not isinstance(error, Rejected):
                raise Seen(f"for `poison` it raised {described(error) if error else 'nothing'}")
            if error.indices is not None and error.indices != {guilty}:
                raise Seen(
                    f"the guilty metric is at {guilty}, and indices are {sorted(error.indices)}"
                )
        self._write(sink, good)
        self._expect(good)
        if any(each.uuid == poison.uuid for each in self._received()):
            raise Seen("the receiver holds `poison`, which was rejected")

    @keeps(promises.RETRY_AFTER)
    def test_retry_after(self) -> None:
        """A receiver that asks for a pause is given one."""
        sink, metrics = self.opened(), made.several(2)
        with self.given("busy")():
            error = self._refusal(sink, metrics)
        if not isinstance(error, RetryAfter):
            raise Seen(f"while `busy` it raised {described(error) if error else 'nothing'}")
        if error.seconds <= 0:
            raise Seen(f"RetryAfter says {error.seconds:g} s")
        self._write(sink, metrics)
        self._expect(metrics)

    @keeps(promises.CHECK_WRITES_NOTHING)
    def test_check_writes_nothing(self) -> None:
        """check() leaves the receiver as it was."""
        sink = self.opened()
        before = self._received()
        self.soon(sink.check, "check()")
        after = self._received()
        if after != before:
            raise Seen(f"check() brought the receiver from {len(before)} metrics to {len(after)}")
        self.use(sink)

    def use(self, plugin: Any) -> None:
        """Write a metric."""
        self._write(plugin, made.several(1))

    def _write(self, sink: Sink, metrics: Iterable[Metric]) -> None:
        batch = made.batch_of(metrics)
        self.soon(lambda: sink.write(batch), f"write() of {len(batch)} metrics")

    def _refusal(self, sink: Sink, metrics: Iterable[Metric]) -> BaseException | None:
        batch = made.batch_of(metrics)
        return self.raised_by(lambda: sink.write(batch), "write()")

    def _received(self) -> list[Metric]:
        return list(self.given("received")())

    def _expect(self, sent: Iterable[Metric]) -> None:
        """Refuse a receiver whose newest version of each metric is not the one that was sent."""
        newest: dict[Any, Metric] = {}
        for each in self._received():
            if each.uuid not in newest or newest[each.uuid].timestamp <= each.timestamp:
                newest[each.uuid] = each
        expected = list(sent)
        missing = [each for each in expected if each.uuid not in newest]
        if missing:
            raise Seen(f"{len(missing)} of {len(expected)} metrics that were written are missing")
        for each in expected:
            if wrong := _differences(each, newest[each.uuid]):
                raise Seen(f"a metric arrived with {wrong}")


def _differences(sent: Metric, arrived: Metric) -> str:
    return ", ".join(
        f"{field.name} {getattr(arrived, field.name)!r} in place of {getattr(sent, field.name)!r}"
        for field in attrs.fields(Metric)
        if getattr(arrived, field.name) != getattr(sent, field.name)
    )
