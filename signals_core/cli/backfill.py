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
from signals_core.cli.output import Output
from signals_core.cli.state import state_dir_of, state_option

if TYPE_CHECKING:
    from signals_core.backfill import Progress, Span
    from signals_core.collector import Collector

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
    from signals_core.daemon import sink_name

    output.listen_to_logs()
    loaded = load(list(configs), project=project)
    collector = _windowed([each.collector for each in loaded.collectors], name)
    names = [sink_name(collector, key) for key in collector.sinks]
    if sink is not None and sink not in (*names, *collector.sinks):
        raise click.UsageError(f"{name} has no sink {sink!r}; it has: {', '.join(names)}")
    sinks = names if resend else None if sink is None else [_full(collector, sink)]
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
    with _shown(output, name) as told:
        if detach or _is_held(folder):
            progress = _by_the_daemon(folder, span, told, detach=detach)
        else:
            progress = _here(folder, collector, span, told)
    return _verdict(output, name, progress)


def _windowed(collectors: list[Collector], name: str) -> Collector:
    found = [each for each in collectors if name in (each.name, each.id)]
    if not found:
        listed = "".join(f"\n  {each.name}" for each in collectors if each.window)
        raise click.UsageError(f"there is no collector {name!r}; with windows there are:{listed}")
    if found[0].window is None:
        raise click.UsageError(f"{name} has no windows: what a snapshot missed cannot be made up")
    return found[0]


def _full(collector: Collector, sink: str) -> str:
    from signals_core.daemon import sink_name

    return sink_name(collector, sink) if sink in collector.sinks else sink


def _list(output: Output, folder: Path, collector: Collector, span: Span) -> None:
    from signals_core.coverage import Coverage
    from signals_core.daemon import key_of
    from signals_core.store import Store, StoreError
    from signals_core.window import iso

    grain = collector.buckets
    assert grain is not None
    try:
        with Store.look(folder) as store:
            coverage = store.coverage(key_of(collector))
    except StoreError:
        coverage = None
    known = coverage or Coverage(span.start)
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


def _is_held(folder: Path) -> bool:
    from signals_core.store import Store, StoreLocked

    try:
        Store.open(folder).close()
    except StoreLocked:
        return True
    return False


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


def _by_the_daemon(folder: Path, span: Span, told: Told, *, detach: bool) -> Progress | None:
    from signals_core.backfill import Progress
    from signals_core.errors import SignalsError
    from signals_core.store import Store

    with Store.look(folder) as store:
        open_ones = [each for each in store.requests() if each.arguments == span.arguments]
        number = open_ones[0].id if open_ones else store.request("backfill", span.arguments)
        while not detach:
            (mine,) = (each for each in store.requests(open_only=False) if each.id == number)
            if mine.progress:
                told(Progress.of(mine.progress))
            if mine.finished is not None and mine.outcome != "done":
                raise SignalsError(str(mine.outcome))
            if mine.finished is not None and mine.progress:
                return Progress.of(mine.progress)
            time.sleep(_POLL_SECONDS)
    return None


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
    with Progress(*columns, console=Console(stderr=True)) as bar:
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
        tenth = progress.done * 10 // progress.total
        if tenth > self._said:
            self._said = tenth
            self._output.say(f"{self._name}: {progress.done} of {progress.total} windows")


def _verdict(output: Output, name: str, progress: Progress | None) -> int:
    if progress is None:
        output.say(f"{name}: left to the daemon")
        return 0
    counts = ", ".join(f"{count} {outcome}" for outcome, count in progress.outcomes.items())
    output.say(f"{name}: {progress.done} of {progress.total} windows: {counts or 'none'}")
    return 1 if progress.failed or progress.done < progress.total else 0
