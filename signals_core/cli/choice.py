"""Which of the loaded collectors a command is about, and what keeps one of them from it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from signals_core.cli.output import Output

if TYPE_CHECKING:
    from signals_core.collector import Collector
    from signals_core.config import Loaded

#: The most names that a message lists.
_LISTED = 20


def name_problems(output: Output, loaded: Loaded) -> bool:
    """Say what is wrong; returns whether it is wrong for all, so that nothing can be done."""
    for problem in loaded.problems:
        output.say(str(problem))
    return bool(loaded.of_all)


def matching(loaded: Loaded, pattern: str | None) -> list[str]:
    """Return the names that a pattern picks, in order; without one there must be a single one.

    Those of collectors with a mistake are among them.
    """
    names = [each.collector.name for each in loaded.collectors]
    names += [name for name in loaded.unsound if name not in names]
    if not names:
        raise click.UsageError("there is no collector here")
    if pattern is None:
        if len(names) > 1:
            raise click.UsageError(f"name one of the {len(names)} collectors:{_listed(names)}")
        return names
    chosen = [name for name in names if name == pattern] or [
        name for name in names if fnmatchcase(name, pattern)
    ]
    if not chosen:
        raise click.UsageError(f"there is no collector {pattern!r}; there are:{_listed(names)}")
    return chosen


def sound(loaded: Loaded) -> list[Collector]:
    """Return the collectors that can run: without a mistake or a reference that leads nowhere."""
    return [each.collector for each in loaded.collectors if not each.unresolved]


def _listed(names: Sequence[str]) -> str:
    lines = [f"\n  {name}" for name in names[:_LISTED]]
    if len(names) > _LISTED:
        lines.append(f"\n  … and {len(names) - _LISTED} more (signals config list shows them)")
    return "".join(lines)
