"""Facts: what a running daemon knows of itself and its store does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from signals_core.collector import Collector
from signals_core.coverage import Coverage
from signals_core.store import Paused
from signals_core.tally import Histogram, Tally


@frozen
class Configured:
    """The configuration as it was read last: at start, or since.

    `left_out` names the collectors that do not run because of a mistake, `problems` says which
    mistakes there are, each in one line.
    """

    read_at: datetime
    left_out: Sequence[str] = ()
    problems: Sequence[str] = ()


@frozen
class Watermark:
    """What a source last showed: all its data up to `shown`, when asked at `asked_at`."""

    shown: datetime
    asked_at: datetime

    @property
    def age(self) -> timedelta:
        """How old it was when it was asked for."""
        return self.asked_at - self.shown


@frozen(kw_only=True)
class CollectorFacts:
    """One collector in the daemon.

    `next_run` is None when nothing is to come before something changes. `running_since` is when
    the run that is under way began to wait for its source. `coverage` is that of a windowed
    collector, a guess before its source was first reached; `horizon` the latest tick: windows that
    ended after it are not asked for yet. `pause` is why it is not read now.
    """

    collector: Collector
    next_run: datetime | None
    running_since: datetime | None
    coverage: Coverage | None
    horizon: datetime | None
    watermark: Watermark | None
    pause: Paused | None = None


@frozen(kw_only=True)
class Facts:
    """A daemon at the moment `at`, by its clock; collectors by their ids, sinks by their names.

    `pass_age` is how many seconds ago the timer passed last, `commits` how long transactions took
    that wrote, `store_trouble` why the last of them failed or why a reading finds no room, or None.
    """

    at: datetime
    pass_age: float
    collectors: Mapping[str, CollectorFacts]
    sinks: Sequence[str]
    tally: Tally
    commits: Histogram
    store_trouble: str | None
    store_size_bytes: int
    outbox_limit_bytes: int
