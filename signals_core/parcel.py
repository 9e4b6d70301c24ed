"""What is sent at once: pending metrics of one or several outboxes in one batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from attrs import field, frozen

from signals_core.clock import Clock
from signals_core.metric import Batch
from signals_core.plugin import Sink
from signals_core.store import Letter, Packed, Position, Settled, Store


@frozen(eq=False)
class Parcel:
    """One batch, and for each sink's name what of it came out of that sink's outbox.

    The metrics stay as they are stored: lines, cut and joined but never decoded.
    """

    parts: tuple[tuple[str, Packed], ...]
    batch: Batch = field(init=False)

    @batch.default
    def _joined(self) -> Batch:
        if len(self.parts) == 1:
            return self.parts[0][1].batch
        return Batch.of_lines(b"".join(packed.batch.json_lines() for _, packed in self.parts))

    def __len__(self) -> int:
        """Return how many metrics there are."""
        return sum(len(packed) for _, packed in self.parts)

    @property
    def ends(self) -> Mapping[str, Position]:
        """The place behind the last metric in each outbox."""
        return {name: packed.end for name, packed in self.parts}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many metrics there are of each outbox."""
        return {name: len(packed) for name, packed in self.parts}

    @property
    def last_line(self) -> bytes:
        """The last metric, with its line break."""
        lines = self.batch.json_lines()
        return lines[lines.rfind(b"\n", 0, -1) + 1 :]

    def select(self, indices: Iterable[int]) -> Parcel:
        """Return these metrics alone, in their order."""
        wanted = sorted(indices)
        ends = list(accumulate(len(packed) for _, packed in self.parts))
        parts = []
        for (name, packed), start, end in zip(self.parts, [0, *ends], ends, strict=False):
            own = wanted[bisect_left(wanted, start) : bisect_left(wanted, end)]
            if own:
                parts.append((name, packed.select(index - start for index in own)))
        return Parcel(tuple(parts))

    def without(self, indices: Iterable[int]) -> Parcel:
        """Return the others, of which there must be some."""
        unwanted = set(indices)
        return self.select(index for index in range(len(self)) if index not in unwanted)

    def halves(self) -> tuple[Parcel, Parcel]:
        """Return the two halves of a parcel of several metrics."""
        middle = len(self) // 2
        return self.select(range(middle)), self.select(range(middle, len(self)))


class Outboxes:
    """The outboxes of the sinks that share a connection, emptied in turn.

    An outbox that was found empty is not looked into again before `wake`.
    """

    def __init__(self, names: Iterable[str], store: Store, clock: Clock, sink: Sink) -> None:
        self._names = deque(names)
        self.name = _called(self._names)
        self._store = store
        self._clock = clock
        self._sink = sink
        self._empty: set[str] = set()

    def wake(self, names: Iterable[str]) -> None:
        """Say that there is something new; may be called from any thread."""
        self._empty.difference_update(names)

    def pack(self, after: Mapping[str, Position], metrics: int | None = None) -> Parcel | None:
        """Return what is pending behind these places, as much as the sink takes at once.

        None when there is nothing. `metrics` bounds how many.
        """
        metrics, size = metrics or self._sink.batch_metrics, self._sink.batch_bytes
        parts: list[tuple[str, Packed]] = []
        for name in [name for name in self._names if name not in self._empty]:
            packed = self._take(name, metrics, size, after.get(name))
            if packed is None:
                continue
            if parts and len(packed.batch.json_lines()) > size:  # one larger metric goes alone
                break
            parts.append((name, packed))
            metrics, size = metrics - len(packed), size - len(packed.batch.json_lines())
            if metrics <= 0 or size <= 0:
                break
        if not after:
            self._names.rotate(-1)
        return Parcel(tuple(parts)) if parts else None

    def acknowledge(self, parcel: Parcel) -> None:
        """Note that the sink has these."""
        parts = [Settled(name, delivered=packed.items) for name, packed in parcel.parts]
        self._store.settle(parts, at=self._clock.now())

    def bury(self, letters: Iterable[tuple[Parcel, str]]) -> None:
        """Make dead letters of parcels, each with the receiver's words."""
        by_name: dict[str, list[Letter]] = defaultdict(list)
        for parcel, reason in letters:
            for name, packed in parcel.parts:
                by_name[name] += (Letter(*place, reason) for place in packed.positions())
        parts = [Settled(name, refused=own) for name, own in by_name.items()]
        self._store.settle(parts, at=self._clock.now())

    def _take(self, name: str, metrics: int, size: int, after: Position | None) -> Packed | None:
        if after is None:
            # Before looking: what is committed while we look wakes it again.
            self._empty.add(name)
        packed = self._store.pending(name, metrics=metrics, bytes=size, after=after)
        if packed is not None:
            self._empty.discard(name)
        return packed


def _called(names: Sequence[str]) -> str:
    """Return what to call several sinks in a log."""
    more = len(names) - 1
    return f"{names[0]} and {more} more like it" if more else names[0]
