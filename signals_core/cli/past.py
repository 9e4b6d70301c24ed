"""Backfills of several collectors at once: done here, or by the daemon that has their state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from attrs import frozen

from signals_core.backfill import Progress, Span, ask
from signals_core.cli.output import Output
from signals_core.cli.progress import Told
from signals_core.cli.state import holder_of
from signals_core.collector import Collector
from signals_core.errors import SignalsError, Unavailable
from signals_core.keys import sink_name
from signals_core.pausing import pause_of, until_text
from signals_core.runner import Runner
from signals_core.store import Requested, Store, StoreError, StoreLocked

_POLL_SECONDS = 0.5

#: How far the backfill of each collector came, or what kept it from its end.
Outcomes = dict[str, Progress | Exception]


@frozen
class Past:
    """The past of one collector that is to be read."""

    collector: Collector
    span: Span

    @property
    def name(self) -> str:
        """The collector's name."""
        return self.collector.name


def carried_out(output: Output, folder: Path, pasts: Sequence[Past], told: Told) -> Outcomes:
    """Read and deliver; what a daemon leaves undone as it ends is done here.

    Raises `StoreError` for a state directory that cannot be used.
    """
    outcomes: Outcomes = {}
    left = list(pasts)
    try:
        while left:
            try:
                if holder_of(folder) is None:
                    outcomes |= _here(folder, left, told)
                else:
                    outcomes |= _by_the_daemon(output, folder, left, told)
            except StoreLocked:
                continue
            left = [past for past in left if past.name not in outcomes]
    except KeyboardInterrupt:
        holder = holder_of(folder)
        goes_on = f"{holder} goes on with it" if holder else "ask for the same again to go on"
        for past in left:
            output.say(f"{past.name}: {goes_on}")
        raise
    return outcomes


def leave(folder: Path, pasts: Sequence[Past]) -> dict[str, int]:
    """Leave a request for each, unless there is one of the same; return their numbers by name."""
    if not folder.exists():
        Store.open(folder).close()
    with Store.look(folder) as store:
        numbers = ask(store, [past.span for past in pasts], datetime.now(UTC))
    return dict(zip((past.name for past in pasts), numbers, strict=True))


def _here(folder: Path, pasts: Sequence[Past], told: Told) -> Outcomes:
    with Runner([past.collector for past in pasts], state_dir=folder) as runner:
        runner.start(on_schedule=False)
        with ThreadPoolExecutor(len(pasts)) as pool:
            done = {past.name: pool.submit(_read, runner, past, told) for past in pasts}
            try:
                wait(done.values())
            finally:
                runner.stop(0)
    return {name: each.result() for name, each in done.items()}


def _read(runner: Runner, past: Past, told: Told) -> Progress | Exception:
    span = past.span
    try:
        return runner.backfill(
            past.name,
            span.start,
            span.end,
            sinks=span.sinks,
            failed_only=span.failed_only,
            told=partial(told, past.name),
        )
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one collector's failure is not the others'
        return error


def _by_the_daemon(output: Output, folder: Path, pasts: Sequence[Past], told: Told) -> Outcomes:
    """Wait until another process has done it, or has gone before all was done."""
    numbers = leave(folder, pasts)
    outcomes: Outcomes = {}
    with Store.look(folder) as store:
        _name_paused(output, store, pasts)
        while True:
            is_held = holder_of(folder) is not None
            requests = {each.id: each for each in store.requests(open_only=False)}
            for past in pasts:
                if past.name not in outcomes:
                    _look(store, past, requests[numbers[past.name]], told, outcomes)
            if len(outcomes) == len(pasts) or not is_held:
                return outcomes
            time.sleep(_POLL_SECONDS)


def _name_paused(output: Output, store: Store, pasts: Sequence[Past]) -> None:
    """Say what a backfill waits for that is paused."""
    now = datetime.now(UTC)
    for past in pasts:
        if pause := pause_of(past.collector, store.pauses(now), now):
            which = f"the {pause.of} {pause.name}"
            output.say(f"{past.name}: waits, for {which} is paused {until_text(pause)}")


def _look(store: Store, past: Past, request: Requested, told: Told, outcomes: Outcomes) -> None:
    """Tell how far a request is, and note its outcome once it has one."""
    progress = Progress.of(request.progress) if request.progress else None
    if progress:
        told(past.name, progress)
    if request.finished is None:
        return
    try:
        if request.outcome != "done":
            raise SignalsError(str(request.outcome))
        if progress and _is_delivered(store, past.collector, request.finished):
            outcomes[past.name] = progress
    except StoreError:
        raise
    except SignalsError as error:
        outcomes[past.name] = error


def _is_delivered(store: Store, collector: Collector, read_by: datetime) -> bool:
    """Whether a collector's sinks have what was read by then.

    Raises `Unavailable` when one of them takes nothing.
    """
    names = {sink_name(collector, key) for key in collector.sinks}
    lines = [
        line
        for line in store.outbox()
        if line.sink in names and line.oldest is not None and line.oldest <= read_by
    ]
    for line in lines:
        if line.failing_since or line.suspended_since:
            raise Unavailable(
                f"sink {line.sink}: {line.reason}: what was read stays pending for it"
            )
    return not lines
