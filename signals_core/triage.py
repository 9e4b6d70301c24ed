"""Sorting out: which metrics of a refused batch are to blame, or whether it is the receiver.

A receiver that refuses a batch may mean its content, or may mean us: a wrong address, credentials,
a schema that nobody told it. Only what it does with other metrics tells the two apart. So a metric
is *suspected* when it is refused alone (or named by the receiver), and becomes a dead letter when

1. something else was taken after that, and
2. it was then refused alone once more (unless the receiver had named it among others).

All of this without a pause in between: after one, whatever was suspected is unsuspected, since the
receiver may be another by then. What is taken is acknowledged at once; all else stays in the
outbox, so that a process may end at any line of this module.

The way of a batch, one write each step:

- It is taken whole: that is all. Else it is *in hand*, cut in halves, these in halves and so on,
  in order, down one path to a single metric, which is suspected.
- From then on nothing more is cut before the suspicion is settled (before a few of them are, where
  something of the batch was taken, or after others were settled: 2, 4, up to 16). What is in hand
  is written as it is, in order: where bad metrics stand among good ones a neighbour is taken, and
  the order is kept.
- Where all of that is refused too, others are asked: of the next batches behind, a few at each
  attempt and always further ones, one metric: the first, and of a suspended sink's any. If it is
  taken, so is the rest of its batch, where it can be. So a collector that is refused whole holds
  up nobody, however much of it is in front.
- Last, what was taken last is written once more, as a *witness*: a receiver that keeps the newest
  of a `uuid` is not changed by it. This is for the refused metric behind which nothing is pending.
  A witness speaks only while there is work without an end or a suspension: a receiver may well
  take what it knows and nothing new.
- Where even that is refused the sink is *suspended*: it takes nothing at all. Nothing is thrown
  away and nothing kept in hand. After a pause the first metric in the outbox is tried alone, then
  others as above; as soon as anything is taken the suspension is over.

So a receiver that refuses everything is sent about 2 log2(n) requests the first time and then, at
each retry, `LOOK` and one single metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from itertools import chain
from typing import Protocol

from attrs import define, frozen

from signals_core.errors import Rejected, reason_of
from signals_core.metric import Batch
from signals_core.parcel import Parcel
from signals_core.store import Position

#: How many batches behind are asked at each attempt.
LOOK = 4
#: The most suspects before their suspicion is settled, and how many where others were taken.
PATIENCE = 16
AMONG_GOOD = 4


class Outbox(Protocol):
    """Where pending metrics come from, and where it is noted what became of them."""

    def pack(self, after: Mapping[str, Position], metrics: int | None = None) -> Parcel | None:
        """Return what is pending behind these places, as much as the sink takes at once.

        None when there is nothing. `metrics` bounds how many.
        """

    def acknowledge(self, parcel: Parcel) -> None:
        """Note that the sink has these."""

    def bury(self, letters: list[tuple[Parcel, str]]) -> None:
        """Make dead letters of parcels, each with the receiver's words."""


class Progress(Enum):
    """What came of a step."""

    IDLE = auto()
    """Nothing is pending."""
    WORKED = auto()
    """There may be more to do."""
    SUSPENDED = auto()
    """The sink takes nothing at all: make a pause."""


@define(eq=False)
class _Piece:
    """A part of the batch in hand; `refused` as a whole, it is cut when its turn comes."""

    parcel: Parcel
    refused: bool = False


@frozen
class _Suspect:
    """What was refused alone, or `is_named` by the receiver among others."""

    parcel: Parcel
    reason: str
    is_named: bool = False


class Triage:
    """Brings an outbox to a sink, step by step, and finds out what is refused and why.

    `write` is told how many metrics of a batch are new of which outbox. It returns None when all
    is taken, the refusal otherwise; what it raises goes through: make a pause, call `interrupt`,
    and go on. `pick(n)` returns a number below n, at random.
    """

    def __init__(
        self,
        outbox: Outbox,
        write: Callable[[Batch, Mapping[str, int]], Rejected | None],
        pick: Callable[[int], int],
    ) -> None:
        self.suspended = False
        self.reason = ""
        self._outbox = outbox
        self._write = write
        self._pick = pick
        self._hand: list[_Piece] = []
        self._suspects: list[_Suspect] = []
        self._is_proved = False
        self._patience = 1
        self._ends: Mapping[str, Position] = {}
        self._seen: Mapping[str, Position] = {}
        self._witness: tuple[bytes, str] | None = None

    def step(self) -> Progress:
        """Do what is next: as a rule one write. Raises what `write` raises."""
        if self._is_time_to_settle:
            if self._is_proved:
                self._judge()
            else:
                return self._seek_proof()
        elif self._hand:
            self._go_on()
        else:
            return self._begin()
        return Progress.WORKED

    def interrupt(self) -> None:
        """Unsuspect what is suspected, because there was or will be a pause."""
        self._hand[:0] = [_Piece(suspect.parcel) for suspect in self._suspects]
        self._suspects.clear()
        self._is_proved = False
        self._patience = 1

    @property
    def _is_time_to_settle(self) -> bool:
        return bool(self._suspects) and (len(self._suspects) >= self._patience or not self._hand)

    def _begin(self) -> Progress:
        parcel = self._outbox.pack({}, metrics=1 if self.suspended else None)
        if parcel is None:
            self._witness = None
            return Progress.IDLE
        self._hand.append(_Piece(parcel))
        self._ends, self._patience = parcel.ends, 1
        return Progress.WORKED

    def _go_on(self) -> None:
        piece = self._hand[0]
        if piece.refused:
            self._hand[:1] = map(_Piece, piece.parcel.halves())
        else:
            self._try(piece)

    def _try(self, piece: _Piece) -> None:
        """Write a piece and put what is left of it in its place."""
        refusal = self._attempt(piece.parcel)
        if refusal is None:
            self._patience = max(self._patience, AMONG_GOOD)
        rest = self._sort(piece.parcel, refusal)
        index = self._hand.index(piece)
        self._hand[index : index + 1] = rest

    def _sort(self, parcel: Parcel, refusal: Rejected | None) -> list[_Piece]:
        if refusal is None:
            return []
        reason, guilty = reason_of(refusal), _guilty(refusal, parcel)
        if not guilty:
            return [_Piece(parcel, refused=True)]
        if len(guilty) == len(parcel):
            self._suspect(_Suspect(parcel, reason))
            return []
        self._suspect(_Suspect(parcel.select(guilty), reason, is_named=True))
        return [_Piece(parcel.without(guilty))]

    def _suspect(self, suspect: _Suspect) -> None:
        self._suspects.append(suspect)
        self._is_proved = False

    def _seek_proof(self) -> Progress:
        """Look for something that the sink takes."""
        untried = next((piece for piece in self._hand if not piece.refused), None)
        if untried:
            self._try(untried)
        elif not (self._look_behind() or self._ask_witness()):
            self._suspend()
            return Progress.SUSPENDED
        return Progress.WORKED

    def _look_behind(self) -> bool:
        for _ in range(LOOK):
            parcel = self._outbox.pack(self._behind)
            if parcel is None:
                return False
            one = self._one_of(parcel) if self.suspended else 0
            is_taken = self._attempt(parcel.select([one])) is None
            if is_taken and len(parcel) > 1:
                self._attempt(parcel.without([one]))
            self._seen = _furthest(self._behind, parcel.ends)
            if is_taken:
                return True
        return False

    @property
    def _behind(self) -> Mapping[str, Position]:
        """How far each outbox has been looked at."""
        return _furthest(self._ends, self._seen)

    def _one_of(self, parcel: Parcel) -> int:
        """Return the index of one metric, every reading being as likely as any other."""
        lengths = [last - first for _, packed in parcel.parts for _, first, last in packed.items]
        chosen = self._pick(len(lengths))
        return sum(lengths[:chosen]) + self._pick(lengths[chosen])

    def _ask_witness(self) -> bool:
        if self._witness is None:
            return False
        line, name = self._witness
        self._is_proved = self._write(Batch.of_lines(line), {name: 0}) is None
        return self._is_proved

    def _suspend(self) -> None:
        self.suspended, self.reason = True, self._suspects[-1].reason
        self._hand.clear()
        self._suspects.clear()
        self._witness = None
        if self._outbox.pack(self._behind, metrics=1) is None:
            self._seen = {}

    def _judge(self) -> None:
        """Decide about the suspects, now that something was taken."""
        letters: list[tuple[Parcel, str]] = []
        try:
            while self._suspects:
                letters += self._verdict(self._suspects[0])
                self._suspects.pop(0)
        finally:
            if letters:
                self._outbox.bury(letters)
        self._patience = min(2 * self._patience, PATIENCE)

    def _verdict(self, suspect: _Suspect) -> list[tuple[Parcel, str]]:
        """Return what becomes dead letters; what it turns out not to be is in hand again."""
        parcel = suspect.parcel
        if suspect.is_named:
            return [(parcel, suspect.reason)]
        refusal = self._attempt(parcel)
        if refusal is None:
            return []
        guilty = _guilty(refusal, parcel)
        if not guilty:
            self._hand.insert(0, _Piece(parcel, refused=True))
            return []
        if len(guilty) < len(parcel):
            self._hand.insert(0, _Piece(parcel.without(guilty)))
        return [(parcel.select(guilty), reason_of(refusal))]

    def _attempt(self, parcel: Parcel) -> Rejected | None:
        refusal = self._write(parcel.batch, parcel.counts)
        if refusal is None:
            self.suspended, self._is_proved = False, True
            self._witness = parcel.last_line, parcel.parts[-1][0]
            self._outbox.acknowledge(parcel)
        return refusal


def _guilty(refusal: Rejected, parcel: Parcel) -> set[int]:
    """Return which metrics a refusal is about; none when it does not tell."""
    if len(parcel) == 1:
        return {0}
    return {index for index in refusal.indices or () if 0 <= index < len(parcel)}


def _furthest(one: Mapping[str, Position], other: Mapping[str, Position]) -> Mapping[str, Position]:
    return dict(sorted(chain(one.items(), other.items())))
