"""Collectors with their connections, and what a configuration that is read again changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from signals_core.collector import Collector
from signals_core.connections import Connection
from signals_core.fields import sameness_of
from signals_core.keys import sink_name
from signals_core.plugin import Sink, Source


@frozen(eq=False)
class Wired:
    """A collector with its source, and its sinks by their own keys."""

    collector: Collector
    source: Connection[Source]
    sinks: Mapping[str, Connection[Sink]]

    @property
    def named_sinks(self) -> Mapping[str, Connection[Sink]]:
        """Its sinks by the names that the store knows them by."""
        return {sink_name(self.collector, key): sink for key, sink in self.sinks.items()}


@frozen(kw_only=True)
class Reloaded:
    """What a reload has changed, by the names of collectors; `reopened` counts connections.

    Those are reopened because a secret is no longer what it was when they were opened.
    """

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]
    unchanged: Sequence[str]
    reopened: int = 0


def merged(running: Iterable[Collector], wanted: Iterable[Collector]) -> list[Collector]:
    """Return the collectors that are wanted; one that has not changed is the one that runs."""
    before = {each.id: each for each in running}
    return [_kept(before.get(each.id), each) for each in wanted]


def compared(running: Iterable[Collector], wanted: Iterable[Collector]) -> Reloaded:
    """Return what is different when `wanted`, from `merged`, comes after what runs."""
    before, after = ({each.id: each for each in some} for some in (running, wanted))
    both = [key for key in after if key in before]
    return Reloaded(
        added=[each.name for key, each in after.items() if key not in before],
        removed=[each.name for key, each in before.items() if key not in after],
        changed=[after[key].name for key in both if after[key] is not before[key]],
        unchanged=[after[key].name for key in both if after[key] is before[key]],
    )


def _kept(before: Collector | None, wanted: Collector) -> Collector:
    if before is None or sameness_of(before) != sameness_of(wanted):
        return wanted
    return before
