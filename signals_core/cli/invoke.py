"""One reading of each named collector, told to a person."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from signals_core.cli.output import Output
from signals_core.cli.times import moment_of
from signals_core.collect import described
from signals_core.collector import Collector, Reading
from signals_core.duration import format_duration
from signals_core.errors import DeliveryError, is_surprise, reason_of
from signals_core.phrases import counted
from signals_core.plugin import Sink
from signals_core.registry import Registry
from signals_core.runner import Runner
from signals_core.window import Window, iso


def invoke_each(output: Output, runner: Runner, at: str | None, *, dry_run: bool) -> int:
    """Invoke collectors one after the other; a failure does not keep the others from running.

    What is asked for is looked at for all of them before the first is read.
    """
    moments = [None if at is None else _moment(at, each) for each in runner.collectors]
    failed = 0
    with ended_by_signals():
        for collector, moment in zip(runner.collectors, moments, strict=True):
            failed += not _invoked(output, runner, collector, moment, dry_run=dry_run)
    return 1 if failed else 0


def _invoked(
    output: Output, runner: Runner, collector: Collector, moment: datetime | None, *, dry_run: bool
) -> bool:
    name = collector.name
    try:
        if dry_run or (moment is not None and collector.window is None):
            _print(output, runner, collector, moment)
        else:
            _deliver(output, runner, collector, moment)
    except KeyboardInterrupt:
        raise
    except DeliveryError as error:
        for sink, reason in error.failed.items():
            output.say(f"{name}: sink {sink}: {reason}", fg="red")
        got = ", ".join(error.delivered)
        output.say(f"{name}: delivered to {got}" if got else f"{name}: no sink has it")
        output.trace(error)
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        output.say(f"{name}: {reason_of(error)}", fg="red")
        output.trace(error)
        if is_surprise(error) and output.verbose < 2:
            output.say(f"{name}: -vv shows where it came from", dim=True)
    else:
        return True
    return False


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM end what runs as Ctrl-C does: a query is cancelled at its server."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _deliver(output: Output, runner: Runner, collector: Collector, moment: datetime | None) -> None:
    reading = runner.invoke(collector.name, moment)
    _tell(output, collector, reading)
    if reading.metrics:
        output.say(f"{collector.name}: delivered to {', '.join(collector.sinks)}")


def _print(output: Output, runner: Runner, collector: Collector, moment: datetime | None) -> None:
    try:
        reading = runner.read(collector.name, moment)
    except Exception:
        output.say(described(collector.query, None))
        raise
    output.say(described(collector.query, reading.window if collector.window else None))
    _tell(output, collector, reading)
    if reading.metrics:
        console: Any = Registry.discover().load("sink", "console")
        sink: Sink = console()
        for batch in reading.metrics.batches:
            sink.write(batch)
    output.say(f"{collector.name}: nothing was delivered")


def _tell(output: Output, collector: Collector, reading: Reading) -> None:
    for warning in reading.warnings:
        output.say(f"{collector.name}: {warning}", fg="yellow")
    bucket = f" of {_shown(reading.window, collector)}" if reading.window else ""
    metrics, rows = counted(len(reading.metrics), "metric"), counted(reading.rows, "row")
    output.say(f"{collector.name}: {metrics} from {rows}{bucket}")


def _shown(window: Window, collector: Collector) -> str:
    local = f"{window.local_start:%Y-%m-%d %H:%M} to {window.local_end:%Y-%m-%d %H:%M}"
    zone = "" if collector.timezone == "UTC" else f" ({iso(window.start)} to {iso(window.end)})"
    return f"{local} {collector.timezone}{zone}"


def _moment(text: str, collector: Collector) -> datetime:
    moment = moment_of(text, collector, "--at")
    grain, policy = collector.buckets, collector.window
    if grain is None:
        raise click.BadParameter(
            f"{collector.name} has no grain: there is no bucket to pick (leave --at away)",
            param_hint="--at",
        )
    try:
        window = grain.window(moment)
    except ValueError as error:
        raise click.BadParameter(f"{collector.name}: {error}", param_hint="--at") from None
    if policy is not None and (due := window.end + policy.grace) > datetime.now(UTC):
        raise click.BadParameter(
            f"{collector.name}: the window {window} is not due before {iso(due)} "
            f"(its end and {format_duration(policy.grace)} of grace)",
            param_hint="--at",
        )
    return moment
