"""A configuration that is read again: what goes on as it was, because it has a mistake now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from signals_core.config.load import Loaded, LoadedCollector
from signals_core.plugin import Sink


def sound(loaded: Loaded) -> list[LoadedCollector]:
    """Return what can run: without a mistake or a reference that leads nowhere."""
    return [each for each in loaded.collectors if not each.unresolved]


def kept_back(running: Sequence[LoadedCollector], loaded: Loaded) -> list[LoadedCollector]:
    """Return those that run, are no longer among what can, and stand in a file with a mistake.

    What is in such a file nobody knows for sure, so none of them is taken to be removed. The sinks
    that they share are those of today.
    """
    collectors = [each.collector for each in sound(loaded)]
    known = {each.name for each in collectors} | {each.id for each in collectors}
    files = {problem.file for problem in loaded.problems}
    shared = {
        name: sink
        for each in collectors
        for name, sink in each.sinks.items()
        if name in each.shared_sinks
    }
    return [
        _with_sinks(each, shared)
        for each in running
        if each.document.mark.file in files and not {each.collector.name, each.collector.id} & known
    ]


def _with_sinks(kept: LoadedCollector, shared: Mapping[str, Sink]) -> LoadedCollector:
    collector = kept.collector
    sinks = {
        name: shared.get(name, sink) if name in collector.shared_sinks else sink
        for name, sink in collector.sinks.items()
    }
    return evolve(kept, collector=evolve(collector, sinks=sinks))
