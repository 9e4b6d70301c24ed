"""What `signals run` runs: the configuration as it was read at start, or again since."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import define, field

from signals_core.cli.output import Output
from signals_core.cli.state import left_out
from signals_core.cli.target import Target
from signals_core.config import Loaded, LoadedCollector, kept_back, sound
from signals_core.errors import ConfigError, reason_of
from signals_core.facts import Configured
from signals_core.phrases import counted
from signals_core.runner import Runner
from signals_core.store import StoreError, TakenUp

if TYPE_CHECKING:
    from signals_core.reload import Reloaded

# Shown at every level, as starts and stops are.
_log = logging.getLogger("signals.run")


@define(eq=False)
class Configuration:
    """The collectors that run, and where they are read from.

    `tell` is told how the configuration was read. One that is `strict` is not taken up with any
    mistake in it.
    """

    runner: Runner
    target: Target
    output: Output
    running: Sequence[LoadedCollector]
    tell: Callable[[Configured], None]
    strict: bool
    left_out: Sequence[str] = field(factory=tuple, init=False)

    def begun(self, loaded: Loaded) -> None:
        """Note what was read at start."""
        self._note(loaded, is_taken=True)

    def read_again(self) -> None:
        """Take up what the files say now, as far as it is right."""
        try:
            loaded = self.target.load()
        except Exception as error:  # noqa: BLE001 - whatever is in the files, what runs goes on
            self.output.trace(error)
            _log.error("not reloaded, and what ran goes on: %s", reason_of(error))
            return
        for problem in loaded.problems:
            _log.error("%s", problem)
        kept = kept_back(self.running, loaded)
        wanted = [*sound(loaded), *kept]
        if not wanted or loaded.of_all or (self.strict and loaded.problems):
            _log.error("not reloaded, and what ran goes on: mend what is named above")
            self._note(loaded, is_taken=False)
            return
        try:
            reloaded = self.runner.reload(each.collector for each in wanted)
        except (ConfigError, StoreError) as error:
            self.output.trace(error)
            _log.error("not reloaded, and what ran goes on: %s", reason_of(error))
            self._note(loaded, is_taken=False, reason=reason_of(error))
            return
        self.running = wanted
        names = [each.collector.name for each in kept]
        for name in names:
            _log.error("%s: kept back: it goes on in the form that it had", name)
        if out := _without(left_out(loaded), names):
            _log.error("left out: %s", ", ".join(out))
        _log.info("reloaded: %s", "; ".join(_changes(reloaded)))
        self._note(loaded, names, is_taken=True)

    def _note(
        self,
        loaded: Loaded,
        kept: Sequence[str] = (),
        *,
        is_taken: bool,
        reason: str | None = None,
    ) -> None:
        """Have it known, on the page and to `signals status`, how the configuration was read."""
        now = datetime.now(UTC)
        problems = [*map(str, loaded.problems), *([reason] if reason else [])]
        running = [each.collector.name for each in self.running]
        out = _without(left_out(loaded), kept if is_taken else running)
        if is_taken:
            self.left_out = out
        else:  # who did not run before does not run now
            out = [*self.left_out, *_without(out, self.left_out)]
        self.tell(Configured(now, out, problems))
        taken = TakenUp(
            read_at=now, is_taken=is_taken, kept_back=kept, problems=problems, left_out=out
        )
        try:
            self.runner.note_configuration(taken)
        except StoreError as error:  # nothing depends on it
            _log.debug("how the configuration was read is not kept: %s", reason_of(error))


def _changes(reloaded: Reloaded) -> Iterator[str]:
    for what in ("added", "changed", "removed"):
        if names := getattr(reloaded, what):
            yield f"{what} {', '.join(names)}"
    if reloaded.reopened:
        yield f"{counted(reloaded.reopened, 'connection')} reopened with a new secret"
    if reloaded.unchanged:
        yield f"{counted(len(reloaded.unchanged), 'collector')} unchanged"


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in names if name not in others]
