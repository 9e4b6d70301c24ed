"""`signals backfill`: past windows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import complete_names, project_options
from signals_core.cli.output import Output, counted
from signals_core.cli.state import holder_of, left_out, state_dir_of, state_option

if TYPE_CHECKING:
    from signals_core.backfill import Progress, Span
    from signals_core.collector import Collector
    from signals_core.config import Loaded
    from signals_core.store import Store

_POLL_SECONDS = 0.5

Told = Callable[["Progress"], None]


@click.command()
@click.argument("name", shell_complete=complete_names)
@project_options
@state_option
@click.option("--start", required=True, metavar="TIME", help="The first moment.")
@click.option("--end", metavar="TIME", help="The end, exclusive. [default: now]")
@click.option("--plan", is_flag=True, help="Only list the windows, and what is known of each.")
@click.option("--failed", is_flag=True, help="Only windows that failed.")
@click.option("--sink", metavar="SINK", help="Send this sink the whole set in any case.")
@click.option("--resend", is_flag=True, help="Send all sinks the whole set in any case.")
@click.option("--detach", is_flag=True, help="Leave it to the daemon, and return.")
@click.make_pass_decorator(Output)
def backfill(
    output: Output,
    name: str,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    start: str,
    end: str | None,
    sink: str | None,
    *,
    plan: bool,
    failed: bool,
    resend: bool,
    detach: bool,
) -> int:
    """Read past windows, oldest first, and deliver what changed. Whole windows only.

    Beside a live daemon, the daemon does it, after what falls due meanwhile. Ended in the middle,
    it goes on where it was when it is asked for again. It returns when everything is read and
    delivered; with a sink that does not take it, it exits with 1 and what was read stays pending.

    \b
    Examples:
      signals backfill shop.orders.1d --start 2026-01-01 --plan
      signals backfill shop.orders.1d --start 2026-01-01 --end 2026-02-01
      signals backfill shop.orders.1d --start 2026-01-01 --sink lake
    """
    from signals_core.backfill import Span
    from signals_core.cli.times import moment_of
    from signals_core.config import load

    output.listen_to_logs()
    loaded = load(list(configs), project=project)
    collector = _windowed(loaded, name)
    sinks = _sinks(collector, sink, resend=resend)
    grain = collector.buckets
    assert grain is not None
    until = datetime.now().astimezone() if end is None else moment_of(end, collector, "--end")
    first = moment_of(start, collector, "--start")
    try:
        span = Span.whole(collector.id, grain, first, until, sinks, failed_only=failed)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    folder = state_dir_of(state_dir, configs, loaded.project_file)
    if plan:
        _list(output, folder, collector, span)
        return 0
    if detach:
        _leave(folder, span)
        output.say(f"{name}: left to {holder_of(folder) or 'the next `signals run`'}")
        return 0
    with _shown(output, name) as told:
        progress = _carried_out(output, folder, collector, span, told)
    return _verdict(output, name, progress)


def _windowed(loaded: Loaded, name: str) -> Collector:
    from signals_core.cli.choice import sound
    from signals_core.errors import ConfigError

    if loaded.of_all or name in left_out(loaded):
        raise ConfigError(loaded.problems)
    collectors = sound(loaded)
    found = next((each for each in collectors if name in (each.name, each.id)), None)
    if found is None:
        listed = "".join(f"\n  {each.name}" for each in collectors if each.window)
        raise click.UsageError(f"there is no collector {name!r}; with windows there are:{listed}")
    if found.window is None:
        raise click.UsageError(f"{name} has no windows: what a snapshot missed cannot be made up")
    return found


def _sinks(collector: Collector, sink: str | None, *, resend: bool) -> list[str] | None:
    """Return the sinks that get the whole set in any case; None: what changed is enough."""
    from signals_core.daemon import sink_name

    names = {key: sink_name(collector, key) for key in collector.sinks}
    if resend:
        return list(names.values())
    if sink is None:
        return None
    if sink not in (*names, *names.values()):
        known = ", ".join(names)
        raise click.UsageError(f"{collector.name} has no sink {sink!r}; it has: {known}")
    return [names.get(sink, sink)]


def _list(output: Output, folder: Path, collector: Collector, span: Span) -> None:
    from signals_core.coverage import Coverage
    from signals_core.daemon import key_of
    from signals_core.store import Store
    from signals_core.window import iso

    grain = collector.buckets
    assert grain is not None
    known = Coverage(span.start)
    if folder.exists():
        with Store.look(folder) as store:
            known = store.coverage(key_of(collector)) or known
    rows = []
    for window in span.windows(grain, known):
        state = "missing"
        if window.start in known.failures:
            state = f"failed: {known.failures[window.start].reason}"
        elif known.covered.covers(window.start, window.end):
            state = "read"
        elif known.skipped.covers(window.start, window.end):
            state = "skipped"
        rows.append([iso(window.start), iso(window.end), state])
    output.table(["START", "END", "STATE"], rows)


def _carried_out(
    output: Output, folder: Path, collector: Collector, span: Span, told: Told
) -> Progress:
    """Do it here, or have it done by the process that has the state directory."""
    from signals_core.store import StoreLocked

    try:
        while holder_of(folder) is None:
            try:
                return _here(folder, collector, span, told)
            except StoreLocked:
                continue
        if (progress := _by_the_daemon(folder, collector, span, told)) is not None:
            return progress
    except KeyboardInterrupt:
        holder = holder_of(folder)
        goes_on = f"{holder} goes on with it" if holder else "ask for the same again to go on"
        output.say(f"{collector.name}: {goes_on}")
        raise
    return _carried_out(output, folder, collector, span, told)


def _here(folder: Path, collector: Collector, span: Span, told: Told) -> Progress:
    from signals_core.runner import Runner

    with Runner([collector], state_dir=folder) as runner:
        return runner.backfill(
            collector.name,
            span.start,
            span.end,
            sinks=span.sinks,
            failed_only=span.failed_only,
            told=told,
        )


def _by_the_daemon(folder: Path, collector: Collector, span: Span, told: Told) -> Progress | None:
    """Wait until another process has done it; None when that has gone before it was done."""
    from signals_core.backfill import Progress
    from signals_core.cli.requests import request_of
    from signals_core.store import Store

    number = _leave(folder, span)
    with Store.look(folder) as store:
        while True:
            is_held = holder_of(folder) is not None
            mine = request_of(store, number)
            progress = Progress.of(mine.progress) if mine.progress else None
            if progress:
                told(progress)
            if mine.finished and progress and _is_delivered(store, collector, mine.finished):
                return progress
            if not is_held:
                return None
            time.sleep(_POLL_SECONDS)


def _leave(folder: Path, span: Span) -> int:
    """Leave a request, unless there is one of the same; return its number."""
    from signals_core.store import Store

    if not folder.exists():
        Store.open(folder).close()
    with Store.look(folder) as store:
        for request in store.requests():
            if request.kind == "backfill" and request.arguments == span.arguments:
                return request.id
        return store.request("backfill", span.arguments)


def _is_delivered(store: Store, collector: Collector, read_by: datetime) -> bool:
    """Whether a collector's sinks have what was read by then.

    Raises `Unavailable` when one of them takes nothing.
    """
    from signals_core.daemon import sink_name
    from signals_core.errors import Unavailable

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


@contextmanager
def _shown(output: Output, name: str) -> Iterator[Told]:
    """Show progress on standard error: a bar at a terminal, a line a tenth elsewhere."""
    if not sys.stderr.isatty():
        yield _Tenths(output, name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), _rate(), Remaining())
    bar = Progress(
        *columns,
        console=Console(stderr=True),
        redirect_stdout=False,  # what sinks print is theirs
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda progress: bar.update(task, total=progress.total, completed=progress.done)


def _rate() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} windows/s" if task.speed else "")

    return Rate()


class _Tenths:
    """Says how far it is, ten times at the most."""

    def __init__(self, output: Output, name: str) -> None:
        self._output = output
        self._name = name
        self._said = 0

    def __call__(self, progress: Progress) -> None:
        tenth = progress.done * 10 // max(progress.total, 1)
        if tenth > self._said:
            self._said = tenth
            self._output.say(
                f"{self._name}: {progress.done} of {counted(progress.total, 'window')}"
            )


def _verdict(output: Output, name: str, progress: Progress) -> int:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in progress.outcomes.items())
    if not progress.total:
        output.say(f"{name}: there is no such window")
        return 0
    output.say(f"{name}: {progress.done} of {counted(progress.total, 'window')}: {counts}")
    if progress.failed:
        output.say(f"{name}: `signals history {name}` says why", fg="red")
    return 1 if progress.failed or progress.done < progress.total else 0
