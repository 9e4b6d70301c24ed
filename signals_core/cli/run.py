"""`signals run`: the daemon."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

import click

from signals_core.cli.options import DURATION, paths_argument, project_options
from signals_core.cli.output import Output
from signals_core.cli.state import state_dir_of, state_option

if TYPE_CHECKING:
    from datetime import timedelta

    from signals_core.config import Loaded

_INTERRUPTED = 130


@click.command()
@paths_argument
@project_options
@state_option
@click.option("--strict", is_flag=True, help="Refuse to start when any collector has a mistake.")
@click.option(
    "--wait-lock",
    type=DURATION,
    default="0s",
    help="How long to wait for another process to let go of the state directory. [default: 0s]",
)
@click.option(
    "--deadline",
    type=DURATION,
    default="30s",
    help="How long running reads may take to finish when told to stop. [default: 30s]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How events are written on standard error.",
)
@click.make_pass_decorator(Output)
def run(
    output: Output,
    paths: tuple[Path, ...],
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    wait_lock: timedelta,
    deadline: timedelta,
    log_format: str,
    *,
    strict: bool,
) -> int:
    """Run collectors as they fall due and deliver, until told to stop.

    SIGTERM and SIGINT stop it: running reads finish, or are cancelled at their sources once the
    deadline has passed, and it exits with 0. A second signal ends it at once. A collector with a
    mistake is left out and the others run.

    \b
    Examples:
      signals run
      signals run shop/ --state-dir /var/lib/signals --wait-lock 60s --log-format json
    """
    from signals_core.config import load
    from signals_core.runner import Runner

    output.listen_to_logs(log_format)
    given = (*paths, *configs)
    loaded = load(given, project=project)
    if _must_refuse(output, loaded, strict=strict):
        return 2
    folder = state_dir_of(state_dir, given, loaded.project_file)
    collectors = [each.collector for each in loaded.collectors if not each.unresolved]
    with Runner(collectors, state_dir=folder) as runner:
        output.say(f"running {len(collectors)} collectors, state in {folder}")
        runner.run(
            _told_to_stop(),
            deadline=deadline.total_seconds(),
            wait_lock=wait_lock.total_seconds(),
        )
    output.say("stopped")
    return 0


def _must_refuse(output: Output, loaded: Loaded, *, strict: bool) -> bool:
    """Say every mistake; whether one of them keeps the daemon from starting."""
    for problem in loaded.problems:
        output.say(str(problem), fg="red")
    shared = {str(loaded.project_file)} if loaded.project_file else {""}
    if strict and loaded.problems:
        return True
    return not loaded.collectors or any(each.file in shared for each in loaded.problems)


def _told_to_stop() -> Event:
    """Return an event that the first signal sets; the second one ends the process."""
    told = Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if told.is_set():
            os._exit(_INTERRUPTED)
        told.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return told
