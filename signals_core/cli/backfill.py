"""`signals backfill`: past windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from signals_core.cli.choice import matching, name_problems, sound_collectors
from signals_core.cli.options import complete_names
from signals_core.cli.output import Output
from signals_core.cli.state import holder_of, left_out
from signals_core.cli.target import Target, state_options
from signals_core.phrases import counted

if TYPE_CHECKING:
    from signals_core.backfill import Progress, Span
    from signals_core.cli.past import Past
    from signals_core.collector import Collector
    from signals_core.coverage import Coverage
    from signals_core.store import Store
    from signals_core.window import Window


@click.command()
@click.argument("name", required=False, shell_complete=complete_names)
@click.option(
    "--start",
    required=True,
    metavar="TIME",
    help="The first moment: a date or a time, in the collector's zone unless it names one.",
)
@click.option("--end", metavar="TIME", help="The end, exclusive.  [default: now]")
@click.option("--plan", is_flag=True, help="Only list the windows, and what is known of each.")
@click.option("--failed", is_flag=True, help="Only windows that failed.")
@click.option(
    "--sink",
    metavar="SINK",
    help="Send this sink all metrics, also of windows that did not change: fills a new sink.",
)
@click.option("--resend", is_flag=True, help="The same for all sinks of the collector.")
@click.option("--detach", is_flag=True, help="Leave it to `signals run`, and return.")
@state_options
@click.make_pass_decorator(Output)
def backfill(
    output: Output,
    name: str | None,
    target: Target,
    start: str,
    end: str | None,
    sink: str | None,
    *,
    plan: bool,
    failed: bool,
    resend: bool,
    detach: bool,
) -> int:
    """Read past windows, oldest first, and deliver what changed.

    Only whole windows between --start and --end are read. NAME may be a pattern such as 'shop.*':
    several collectors are read together. Where `signals run` is running, it does the work, after
    what falls due meanwhile. Ended in the middle, it goes on where it was when the same is asked
    for again.

    It returns when everything is read and delivered, and exits with 1 when a window failed or a
    sink does not take what was read: that stays pending.

    \b
    Examples:
      signals backfill shop.orders.1d --start 2026-01-01 --plan
      signals backfill shop.orders.1d --start 2026-01-01 --end 2026-02-01
      signals backfill 'shop.*' --start 2026-01-01 --sink lake
    """
    from signals_core.cli.past import carried_out, leave
    from signals_core.cli.progress import shown
    from signals_core.errors import ConfigError

    output.listen_to_logs()
    loaded = target.load()
    if loaded.of_all:
        raise ConfigError(loaded.problems)
    names = matching(loaded, name)
    unsound = [each for each in names if each in left_out(loaded)]
    if len(unsound) == len(names):
        raise ConfigError(loaded.problems)
    chosen = [each for each in sound_collectors(loaded) if each.name in names]
    span_of = partial(_span, start=start, end=end, sink=sink, resend=resend, failed=failed)
    pasts = list(_pasts(output, chosen, span_of))
    folder = target.state_dir(loaded)
    if plan:
        _list(output, folder, pasts)
        return 0
    if unsound:
        name_problems(output, loaded)
    if detach:
        leave(folder, pasts)
        for past in pasts:
            output.say(f"{past.name}: left to {holder_of(folder) or 'the next `signals run`'}")
        return 2 if unsound else 0
    with shown(output, [past.name for past in pasts]) as told:
        outcomes = carried_out(output, folder, pasts, told)
    codes = [_verdict(output, past.name, outcomes[past.name]) for past in pasts]
    for each in unsound:
        output.say(f"{each}: not read: mend what is named above", fg="red")
    return 2 if unsound else max(codes)


def _pasts(
    output: Output, collectors: Sequence[Collector], span_of: Callable[[Collector], Span]
) -> Iterator[Past]:
    """Yield what is to be read of each collector; those of which nothing can be are passed over.

    Raises `UsageError` when that is so of all of them.
    """
    from signals_core.cli.past import Past

    reasons = []
    for collector in collectors:
        try:
            past = Past(collector, span_of(collector))
        except ValueError as error:
            reasons.append(str(error))
        else:
            yield past
    if len(reasons) == len(collectors):
        raise click.UsageError("\n".join(reasons))
    for reason in reasons:
        output.say(f"passed over: {reason}")


def _span(
    collector: Collector,
    *,
    start: str,
    end: str | None,
    sink: str | None,
    resend: bool,
    failed: bool,
) -> Span:
    """Return what is asked for of a collector. Raises `ValueError` when it has no such thing."""
    from signals_core.backfill import Span
    from signals_core.cli.times import moment_of

    name, grain = collector.name, collector.buckets
    if collector.window is None or grain is None:
        raise ValueError(f"{name} has no windows: what a snapshot missed cannot be made up")
    until = datetime.now().astimezone() if end is None else moment_of(end, collector, "--end")
    first = moment_of(start, collector, "--start")
    sinks = _sinks(collector, sink, resend=resend)
    try:
        return Span.whole(collector.id, grain, first, until, sinks, failed_only=failed)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _sinks(collector: Collector, sink: str | None, *, resend: bool) -> list[str] | None:
    """Return the sinks that get the whole set in any case; None: what changed is enough."""
    from signals_core.keys import sink_name

    names = {key: sink_name(collector, key) for key in collector.sinks}
    if resend:
        return list(names.values())
    if sink is None:
        return None
    if sink not in (*names, *names.values()):
        known = ", ".join(names)
        raise ValueError(f"{collector.name} has no sink {sink!r}; it has: {known}")
    return [names.get(sink, sink)]


def _list(output: Output, folder: Path, pasts: Sequence[Past]) -> None:
    """List windows, and what is known of each; where there is no state, nothing is."""
    from signals_core.store import Store

    with Store.look(folder) if folder.exists() else nullcontext() as store:
        rows = [row for past in pasts for row in _rows(past, store)]
    output.table(["COLLECTOR", "START", "END", "STATE"], rows)


def _rows(past: Past, store: Store | None) -> Iterator[list[str]]:
    from signals_core.coverage import Coverage
    from signals_core.keys import key_of
    from signals_core.window import iso

    grain = past.collector.buckets
    assert grain is not None
    known = (store and store.coverage(key_of(past.collector))) or Coverage(past.span.start)
    for window in past.span.windows(grain, known):
        yield [past.name, iso(window.start), iso(window.end), _state(window, known)]


def _state(window: Window, known: Coverage) -> str:
    if window.start in known.failures:
        return f"failed: {known.failures[window.start].reason}"
    if known.covered.covers(window.start, window.end):
        return "read"
    if known.skipped.covers(window.start, window.end):
        return "skipped"
    return "missing"


def _verdict(output: Output, name: str, outcome: Progress | Exception) -> int:
    """Say what became of a backfill, and return what to exit with for it."""
    from signals_core.errors import reason_of

    if isinstance(outcome, Exception):
        output.say(f"{name}: {reason_of(outcome)}", fg="red")
        output.trace(outcome)
        return 1
    counts = ", ".join(f"{count} {word}" for word, count in outcome.outcomes.items())
    if not outcome.total:
        output.say(f"{name}: there is no such window")
        return 0
    output.say(f"{name}: {outcome.done} of {counted(outcome.total, 'window')}: {counts}")
    if outcome.failed:
        output.say(f"{name}: `signals history {name}` says why", fg="red")
    return 1 if outcome.failed or outcome.done < outcome.total else 0
