"""`signals pause` and `signals resume`: what is not to be read for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import define

from signals_core.cli.choice import picked
from signals_core.cli.options import DURATION, complete_names
from signals_core.cli.output import Output
from signals_core.cli.state import holder_of
from signals_core.cli.target import Target, state_options
from signals_core.phrases import moment

if TYPE_CHECKING:
    from datetime import timedelta

    from signals_core.config import Loaded
    from signals_core.store import Paused, PauseOf

_names = click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)


@click.command()
@_names
@click.option("--source", metavar="SOURCE", help="All collectors of this shared source.")
@click.option(
    "--for",
    "duration",
    type=DURATION,
    metavar="DURATION",
    help="How long, as 2h.  [default: until `signals resume`]",
)
@click.option("--reason", metavar="TEXT", help="Why, for those who look.")
@state_options
@click.make_pass_decorator(Output)
def pause(
    output: Output,
    names: Sequence[str],
    target: Target,
    source: str | None,
    duration: timedelta | None,
    reason: str | None,
) -> int:
    """Leave collectors, or all of a shared source, unread for a while.

    Where `signals run` is running it obeys at once, else the next one does; it lasts over restarts.
    A read that is under way ends. What was read is still delivered. Windows are made up afterwards;
    runs of snapshot collectors are missed, and counted. Backfills wait too; what `signals config`
    does by hand does not.

    NAME may be a pattern such as 'shop.*', which stands for the collectors that there are now.
    Pausing again sets a new end.

    \b
    Examples:
      signals pause shop.orders.1d --reason "counts are off, see the runbook"
      signals pause --source shop --for 2h
    """
    from signals_core.secret import mask

    folder, loaded = target.found()
    chosen = _chosen(folder, loaded, names, source)
    until = None if duration is None else datetime.now(UTC) + duration
    given = {"until": until and until.isoformat(), "reason": reason and mask(reason)}
    _done(folder, "pause", chosen, given)
    end = "until `signals resume`" if until is None else f"until {moment(until)}"
    by = holder_of(folder)
    for name in chosen.ids:
        output.say(f"{chosen.called(name)}: paused {end}")
    if by is None:
        output.say("no process has the state directory: the next `signals run` obeys")
    return 0


@click.command()
@_names
@click.option("--source", metavar="SOURCE", help="What was paused by this shared source.")
@state_options
@click.make_pass_decorator(Output)
def resume(output: Output, names: Sequence[str], target: Target, source: str | None) -> int:
    """End pauses: windows that were missed are made up, oldest first.

    NAME may be a pattern such as 'shop.*'. Without NAME and --source there must be one pause only,
    else they are listed.

    \b
    Examples:
      signals resume shop.orders.1d
      signals resume --source shop
      signals resume '*'
    """
    folder, loaded = target.found()
    paused = _pauses(folder)
    called = {id_: name for name, id_ in _ids(folder, loaded).items()}
    if not names and source is None:
        chosen = _only(paused, called)
    elif source is not None:
        _refuse_both(names)
        chosen = _Chosen("source", {source: source})
    else:
        known = {name: id_ for id_, name in called.items()}
        known |= {
            each.name: each.name
            for each in paused
            if each.of == "collector" and each.name not in called
        }
        chosen = _of_names(known, names)
    if chosen is None:
        output.say("nothing is paused")
        return 0
    there = {each.name for each in paused if each.of == chosen.of}
    _done(folder, "resume", chosen, {})
    for name, id_ in chosen.ids.items():
        what = chosen.called(name)
        output.say(f"{what}: resumed" if id_ in there else f"{what}: was not paused")
    if loaded is not None:
        _name_paused_sources(output, loaded, chosen, paused)
    return 0


@define
class _Chosen:
    """What is paused or resumed: what it is called, and what the store calls it."""

    of: PauseOf
    ids: Mapping[str, str]

    def called(self, name: str) -> str:
        """Return what is said of it."""
        return name if self.of == "collector" else f"source {name}"


def _chosen(
    folder: Path, loaded: Loaded | None, names: Sequence[str], source: str | None
) -> _Chosen:
    """Return what the arguments name. Raises `UsageError`, which lists what there is."""
    if source is None:
        return _of_names(_ids(folder, loaded), names)
    _refuse_both(names)
    if loaded is None or loaded.of_all:
        return _Chosen("source", {source: source})  # nobody knows which there are
    used = [each.collector.shared_source for each in loaded.collectors]
    known = {name: name for name in used if name is not None}
    found = picked(known, source, "shared source", "that a collector uses")
    return _Chosen("source", {name: name for name in found})


def _of_names(known: Mapping[str, str], names: Sequence[str]) -> _Chosen:
    found = [name for given in names or (None,) for name in picked(known, given)]
    return _Chosen("collector", {name: known[name] for name in found})


def _refuse_both(names: Sequence[str]) -> None:
    if names:
        raise click.UsageError("name collectors, or --source SOURCE, which is all that use it")


def _ids(folder: Path, loaded: Loaded | None) -> dict[str, str]:
    """Return the ids of collectors by their names: those that are configured, or have run."""
    from signals_core.store import Store

    ids: dict[str, str] = {}
    if folder.exists():
        with Store.look(folder) as store:
            ids = {run.name: run.collector for run in store.last_runs().values()}
    if loaded is not None and not loaded.of_all:
        there = {each.collector.name: each.collector.id for each in loaded.collectors}
        unsound = {name: ids.get(name, name) for name in loaded.unsound}
        return there | {name: id_ for name, id_ in unsound.items() if name not in there}
    return ids


def _pauses(folder: Path) -> list[Paused]:
    from signals_core.store import Store

    if not folder.exists():
        return []
    with Store.look(folder) as store:
        return store.pauses()


def _only(paused: Sequence[Paused], called: Mapping[str, str]) -> _Chosen | None:
    """Return the one thing that is paused. Raises `UsageError` when there are several."""
    if not paused:
        return None
    if len(paused) > 1:
        lines = "".join(f"\n  {_listed(each, called)}" for each in paused)
        raise click.UsageError(f"name what is to go on; paused are:{lines}")
    (one,) = paused
    return _Chosen(one.of, {called.get(one.name, one.name): one.name})


def _listed(pause: Paused, called: Mapping[str, str]) -> str:
    from signals_core.pausing import until_text

    name = f"--source {pause.name}" if pause.of == "source" else called.get(pause.name, pause.name)
    return f"{name}, {until_text(pause)}"


def _done(folder: Path, kind: str, chosen: _Chosen, given: Mapping[str, object]) -> None:
    """Have it done, by the live daemon if there is one."""
    from signals_core.cli.requests import carried_out
    from signals_core.store import Store

    if not folder.exists():
        Store.open(folder).close()
    carried_out(folder, kind, {"of": chosen.of, "names": list(chosen.ids.values()), **given})


def _name_paused_sources(
    output: Output, loaded: Loaded, chosen: _Chosen, paused: Iterable[Paused]
) -> None:
    """Say of what was resumed that its source is paused still."""
    sources = {each.name for each in paused if each.of == "source"}
    for each in loaded.collectors:
        collector = each.collector
        if chosen.of == "collector" and collector.id in chosen.ids.values():
            source = collector.shared_source
            if source in sources:
                output.say(
                    f"{collector.name}: its source {source} is paused still (`signals resume "
                    f"--source {source}` ends that)"
                )
