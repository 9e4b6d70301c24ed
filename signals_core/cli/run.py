"""`signals run`: the daemon."""

from __future__ import annotations

import logging
import os
import signal
import time
from types import FrameType
from typing import TYPE_CHECKING

import click
from attrs import define

from signals_core.cli.listen import access_to, listen_options, listening
from signals_core.cli.options import DURATION
from signals_core.cli.output import Output
from signals_core.cli.state import left_out
from signals_core.cli.target import Target, paths_argument, state_options
from signals_core.phrases import counted

if TYPE_CHECKING:
    from datetime import timedelta

    from signals_core.cli.reload import Configuration
    from signals_core.config import Loaded
    from signals_core.runner import Runner
    from signals_core.web.server import Address

# Starts and stops are shown at every level, as events like any other.
_log = logging.getLogger("signals.run")

_INTERRUPTED = 130
_LOOK_SECONDS = 0.2
_SAME_MOMENT = 0.2


@click.command()
@paths_argument
@click.option("--strict", is_flag=True, help="Refuse to start when any collector has a mistake.")
@click.option(
    "--wait-lock",
    type=DURATION,
    default="0s",
    metavar="DURATION",
    help="How long to wait for another process to let go of the state directory.  [default: 0s]",
)
@click.option(
    "--deadline",
    type=DURATION,
    default="30s",
    metavar="DURATION",
    help="How long reads may take to finish once it is told to stop.  [default: 30s]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How events are written on standard error.  [default: text]",
)
@listen_options
@state_options
@click.make_pass_decorator(Output)
def run(
    output: Output,
    target: Target,
    wait_lock: timedelta,
    deadline: timedelta,
    log_format: str,
    listen: Address | None,
    *,
    listen_insecure: bool,
    strict: bool,
) -> int:
    """Read collectors as they fall due, and deliver, until told to stop.

    Windows that were missed while it did not run are made up. What was read is kept in the state
    directory until every sink has it. A collector with a mistake is left out, and the others run.

    SIGHUP has it read its files again: collectors that are new, changed or gone are taken up, the
    others notice nothing. One with a mistake goes on in the form that it had, and a mistake in
    signals.yaml itself changes nothing.

    Ctrl-C or SIGTERM stops it: reads that are under way finish, or are cancelled at their sources
    once the deadline has passed, and it exits with 0. A second one ends it at once.

    \b
    Examples:
      signals run
      signals run shop/ --state-dir /var/lib/signals --log-format json
      signals run --listen 127.0.0.1:9464
    """
    from signals_core.cli.reload import Configuration
    from signals_core.config import sound
    from signals_core.errors import CannotListen, reason_of
    from signals_core.runner import Runner
    from signals_core.store import StoreError

    output.listen_to_logs(log_format)
    _log.setLevel(logging.DEBUG if output.verbose > 1 else logging.INFO)
    access = access_to(listen, insecure=listen_insecure)
    told = _told_by_signals()
    loaded = target.load()
    running = sound(loaded)
    _name_problems(loaded)
    if not running or loaded.of_all or (strict and loaded.problems):
        _log.error("not started: mend what is named above")
        return 2
    folder = target.state_dir(loaded)
    try:
        with (
            Runner((each.collector for each in running), state_dir=folder) as runner,
            listening(access, runner, folder, loaded) as tell,
        ):
            if _start(runner, told, wait_lock.total_seconds()):
                _log.info("runs %s, state in %s", counted(len(running), "collector"), folder)
                configuration = Configuration(runner, target, output, running, tell, strict)
                configuration.begun(loaded)
                _obey(told, configuration)
                _log.info("stopping")
            runner.stop(deadline.total_seconds())
    except CannotListen as error:
        _log.error("%s", error)
        return 2
    except StoreError as error:
        output.trace(error)
        _log.error("%s", reason_of(error))
        return 3
    _log.info("stopped")
    return 0


def _name_problems(loaded: Loaded) -> None:
    for problem in loaded.problems:
        _log.error("%s", problem)
    if names := left_out(loaded):
        _log.error("left out: %s", ", ".join(names))


def _obey(told: _Told, configuration: Configuration) -> None:
    """Wait until it is told to stop, and read the configuration again whenever it is told to.

    Raises `StoreError` where the store's file was deleted or replaced.
    """
    while not told.stop:  # with threads about, a signal was seen not to wake an `Event.wait`
        if told.reload:
            told.reload = False  # first, so that who tells it meanwhile is heard too
            configuration.read_again()
        else:
            configuration.runner.check_place()
            time.sleep(_LOOK_SECONDS)


def _start(runner: Runner, told: _Told, wait_lock: float) -> bool:
    """Start as soon as the state directory is free; False when it is told to stop before."""
    from signals_core.store import StoreLocked

    deadline, is_said = time.monotonic() + wait_lock, False
    while not told.stop:
        left = deadline - time.monotonic()
        try:
            runner.start(wait_lock=max(0, min(left, _LOOK_SECONDS)))
        except StoreLocked as error:
            if left <= 0:
                raise
            if not is_said:
                _log.info("waits: %s", error)
            is_said = True
        else:
            return True
    return False


@define
class _Told:
    """What signals have said; plain values, since a signal may come while a lock is held."""

    stop: bool = False
    reload: bool = False


def _told_by_signals() -> _Told:
    """Return what signals will say; the second one that says to stop ends the process."""
    told = _Told()
    told_at = 0.0

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # Ctrl-C reaches us twice at once where who started us hands it on.
        nonlocal told_at
        if not told.stop:
            told_at = time.monotonic()
        elif time.monotonic() - told_at > _SAME_MOMENT:
            os._exit(_INTERRUPTED)
        told.stop = True

    def reload(_signal: int, _frame: FrameType | None) -> None:
        told.reload = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
    return told
