"""Which of the loaded collectors a command is about, and what keeps one of them from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
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
    """Return the names of the collectors that a name, an id or a glob picks, in order.

    Those with a mistake are among them. Without a pattern there must be a single one.
    """
    ids = {each.collector.name: each.collector.id for each in loaded.collectors}
    return picked({**ids, **{name: name for name in loaded.unsound if name not in ids}}, pattern)


def picked(
    ids: Mapping[str, str], pattern: str | None, noun: str = "collector", of: str = "here"
) -> list[str]:
    """Return the names that a pattern picks: one as it is, one by its id, or those of a glob.

    Without a pattern there must be a single one. Raises `UsageError`, which lists what there is.
    """
    if not ids:
        raise click.UsageError(f"there is no {noun} {of}")
    if pattern is None:
        if len(ids) > 1:
            raise click.UsageError(
                f"name one of the {len(ids)} {noun}s, or several as in '*':{_listed(list(ids))}"
            )
        return list(ids)
    chosen = [name for name in ids if name == pattern]
    chosen = chosen or [name for name, id_ in ids.items() if id_ == pattern]
    chosen = chosen or [name for name in ids if fnmatchcase(name, pattern)]
    if not chosen:
        close = get_close_matches(pattern, ids, 1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise click.UsageError(
            f"there is no {noun} {pattern!r}{meant}; there are:{_listed(list(ids))}"
        )
    return chosen


def sound_collectors(loaded: Loaded) -> list[Collector]:
    """Return the collectors that can run: without a mistake or a reference that leads nowhere."""
    from signals_core import config

    return [each.collector for each in config.sound(loaded)]


def _listed(names: Sequence[str]) -> str:
    lines = [f"\n  {name}" for name in names[:_LISTED]]
    if len(names) > _LISTED:
        lines.append(f"\n  … and {len(names) - _LISTED} more (signals config list shows them)")
    return "".join(lines)
