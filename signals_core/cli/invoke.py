"""One reading of each named collector, told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from signals_core.cli.output import Output
from signals_core.collect import described
from signals_core.collector import Collector, Reading
from signals_core.errors import DeliveryError, NotDue, is_surprise, reason_of
from signals_core.plugin import Sink
from signals_core.registry import Registry
from signals_core.runner import Runner
from signals_core.window import Window, iso, zone_named


def invoke_each(
    output: Output, runner: Runner, names: Sequence[str], at: str | None, *, dry_run: bool
) -> int:
    """Invoke collectors one after the other; a failure does not keep the others from running."""
    failed = 0
    for name in names:
        collector = runner[name]
        moment = None if at is None else _moment(at, collector)
        try:
            if dry_run or (moment is not None and collector.window is None):
                _print(output, runner, collector, moment)
            else:
                _deliver(output, runner, collector, moment)
        except DeliveryError as error:
            failed += 1
            for sink, reason in error.failed.items():
                output.say(f"{name}: sink {sink}: {reason}", fg="red")
            got = ", ".join(error.delivered)
            output.say(f"{name}: delivered to {got}" if got else f"{name}: no sink has it")
            output.trace(error)
        except NotDue as error:
            raise click.BadParameter(str(error), param_hint="--at") from error
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            failed += 1
            output.say(f"{name}: {reason_of(error)}", fg="red")
            output.trace(error)
            if is_surprise(error) and output.verbose < 2:
                output.say(f"{name}: -vv shows where it came from", dim=True)
    return 1 if failed else 0


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
    output.say(f"{collector.name}: {len(reading.metrics)} metrics from {reading.rows} rows{bucket}")


def _shown(window: Window, collector: Collector) -> str:
    local = f"{window.local_start:%Y-%m-%d %H:%M} to {window.local_end:%Y-%m-%d %H:%M}"
    zone = "" if collector.timezone == "UTC" else f" ({iso(window.start)} to {iso(window.end)})"
    return f"{local} {collector.timezone}{zone}"


def _moment(text: str, collector: Collector) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no date or time (write it like 2026-01-31 or 2026-01-31T06:00Z)",
            param_hint="--at",
        ) from None
    if collector.grain is None:
        raise click.BadParameter(
            f"{collector.name} has no grain: there is no bucket to pick", param_hint="--at"
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=zone_named(collector.timezone))
