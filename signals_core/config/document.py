"""One collector out of one document."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from attrs import define, field, fields

from signals_core.collector import Collector, MetricDefinition, WindowPolicy, problems_of
from signals_core.config.nodes import Items, Keys, Mark, Node, Scalar, is_null
from signals_core.config.plugins import Built, Plugins, shared_names
from signals_core.config.refusals import placed
from signals_core.config.structure import Failed, Structurer
from signals_core.errors import Problem
from signals_core.plugin import Source
from signals_core.window import zone_named

T = TypeVar("T")

#: The keys of a document are the fields of its class, apart from what is not written there.
COLLECTOR_KEYS = tuple(
    each.name
    for each in fields(Collector)
    if each.name not in ("query", "shared_source", "shared_sinks")
)

#: One of them makes a document a collector.
MARKS_OF_COLLECTOR = ("source", "metric", "metrics")
_RESERVED = (
    "tests", "labels", "was", "for_each", "fill", "expect", "retention", "receipt",
)  # fmt: skip
_NEEDED = {
    "source": "write source: {type: …, config: …}",
    "sinks": "write sinks: {console: {type: console}}",
    "schedule": "write schedule: {interval: 1m}, or a window",
    "name": "",
}
_METRIC = "write {name: …, type: COUNT}"
_LATER = "is reserved for a later version"
_INDEX = re.compile(r"\[(\d+)\]")


def is_collector(document: Node) -> bool:
    """Whether a document is meant as a collector; one that is not is passed over."""
    return isinstance(document, Keys) and bool(document.nodes.keys() & set(MARKS_OF_COLLECTOR))


def hoisted(document: Keys, structurer: Structurer) -> Keys:
    """Return the document with `metric.grain` and `metric.tags` as the collector's own."""
    metric = document.nodes.get("metric")
    if not isinstance(metric, Keys):
        return document
    for key in ("grain", "tags"):
        node, own = metric.nodes.get(key), document.nodes.get(key)
        if node is None or is_null(node):
            continue
        if own is not None and is_null(own):
            own = None
        if isinstance(node, Keys) and isinstance(own, Keys):
            for twice in node.nodes.keys() & own.nodes.keys():
                if node.nodes[twice] != own.nodes[twice]:
                    _refuse_second(node.mark_of(twice), f"tag {twice!r}", structurer)
            merged = {**own.nodes, **node.nodes}
            node = Keys(merged, node.mark, {**own.marks, **node.marks})
        elif own is not None and own != node:
            _refuse_second(metric.mark_of(key), key, structurer)
        document = document.with_key(key, node)
    return document.with_key("metric", metric.without("grain", "tags"))


def _refuse_second(mark: Mark, what: str, structurer: Structurer) -> None:
    structurer.note(mark.problem(f"the collector has a {what} already", "keep one of the two"))


@define
class DocumentReader:
    """Reads one document, in which every problem is noted, into a collector.

    After `read` the collector is there, unless a part of it could not be built.
    """

    document: Keys
    structurer: Structurer
    plugins: Plugins
    collector: Collector | None = field(init=False, default=None)
    unresolved: bool = field(init=False, default=False)
    name: str | None = field(init=False, default=None)
    id: str | None = field(init=False, default=None)
    _built: Built | None = field(init=False, default=None)
    _failed: set[str] = field(init=False, factory=set)
    _doubtful: set[str] = field(init=False, factory=set)

    def read(self) -> None:
        """Build the collector.

        A part that is wrong is stood in for, so that the checks of the others still run.
        """
        self._excuse_unread_defaults()
        self._check_keys()
        values = {**self._texts(), **self._numbers(), **self._metrics(), **self._parts()}
        collector = Collector(**values)
        for problem in problems_of(collector):
            self._place(problem)
        if collector.window is None and "window" not in self._failed:
            self._node("schedule", required=True)
        if not self._failed and self._built is not None and self._built.sound:
            self.collector = collector

    def read_defaults(self) -> None:
        """Look at what are defaults and no more, since it may be that no collector uses them."""
        self._failed |= {"name", "id", "metric", "source", "sinks"}  # none of them is missed here
        stand_in = {"metric": MetricDefinition("?", "COUNT")}
        values = {**self._texts(), **self._numbers(), **self._parts(), **stand_in}
        values["grain"] = values["grain"] or "1d"
        for problem in problems_of(Collector(**values)):
            self._place(problem)

    def mark_of_identity(self, key: str) -> Mark:
        """Return where the name or the id stands, which by default is the name."""
        return self.document.mark_of(key if key in self.document.nodes else "name")

    def _excuse_unread_defaults(self) -> None:
        """Count as failed what the defaults may hold, when they could not be read."""
        if "defaults" in self.plugins.project.unread:
            absent = {"sinks", "schedule", "grain", "window"} - self.document.nodes.keys()
            self._failed |= absent | ({"window"} if "grain" in absent else set())
            if "window" in absent:  # then nobody knows which bounds the query should use
                self._doubtful.add("source.config")

    def _check_keys(self) -> None:
        for key in self.document.nodes:
            if key in _RESERVED:
                self.structurer.note(self.document.mark_of(key).problem(_LATER))
            elif key == "plugins":
                mark = self.document.mark_of(key)
                self.structurer.note(mark.problem("is a key of the project", "see signals.yaml"))
            elif key not in COLLECTOR_KEYS:
                self.structurer.unknown(self.document, key, COLLECTOR_KEYS)

    def _texts(self) -> dict[str, Any]:
        self.name = self._value("name", str, required=True)
        self.id = self._value("id", str, self.name)
        values = {"name": self.name, "id": self.id, "timezone": self._value("timezone", str, "UTC")}
        for key in ("grain", "owner", "description"):
            values[key] = self._value(key, str)
        try:
            self.structurer.zone = zone_named(values["timezone"])
        except ValueError:
            self.structurer.zone = zone_named("UTC")
        stand_ins = {"name": "?", "id": "?"}
        return {
            key: stand_ins.get(key) if value is None else value for key, value in values.items()
        }

    def _numbers(self) -> dict[str, Any]:
        window = self._window()
        if window is None and "window" in self._failed:
            window = WindowPolicy()
        found = {
            "timeout": self._value("timeout", timedelta),
            "max_rows": self._value("max_rows", int),
            "tags": self._value("tags", dict[str, str]),
            "window": window,
        }
        return {key: value for key, value in found.items() if value is not None}

    def _window(self) -> WindowPolicy | None:
        node = self.document.nodes.get("window")
        if isinstance(node, Keys):
            if "partial" in node.nodes:
                self.structurer.note(node.mark_of("partial").problem(_LATER))
            catch_up = node.nodes.get("catch_up")
            is_all = isinstance(catch_up, Scalar) and catch_up.text == "all"
            rest = node.without("partial", *(["catch_up"] if is_all else []))
            return self._part("window", lambda: self.structurer.build(WindowPolicy, rest))
        return self._value("window", WindowPolicy)  # type: ignore[no-any-return]  # or None

    def _metrics(self) -> dict[str, Any]:
        stand_in = {"metric": MetricDefinition("?", "COUNT")}
        one, many = self._node("metric"), self._node("metrics")
        if (one is None) == (many is None):
            self._failed |= {"metric", "metrics"}
            mark = self.document.mark_of("metric" if one is None else "metrics")
            message = "exactly one of metric and metrics is needed"
            self.structurer.note(mark.problem(message, "write metric: {name: …, type: COUNT}"))
            return stand_in
        if one is not None:
            definition = self._part("metric", lambda: self._definition(one))
            return {"metric": definition} if definition else stand_in
        assert many is not None
        items = self._part(
            "metrics", lambda: self.structurer.items(many, "write a list of metrics")
        )
        if items is None:
            return stand_in
        if not items.nodes:
            self._failed.add("metrics")
            remedy = "write [{name: …, type: COUNT, value: …}]"
            self.structurer.note(items.mark.problem("is empty", remedy))
            return stand_in
        return {"metrics": [self._item(index, node) for index, node in enumerate(items.nodes)]}

    def _item(self, index: int, node: Node) -> MetricDefinition:
        """Return one of several definitions; one that is wrong keeps its place."""
        path = f"metrics[{index}]"
        definition = self._part(path, lambda: self._definition(node, value_needed=True))
        return definition or MetricDefinition(path, "COUNT")

    def _definition(self, node: Node, *, value_needed: bool = False) -> MetricDefinition:
        keys = self.structurer.keys(node, _METRIC)
        if reserved := "was" in keys.nodes:
            self.structurer.note(keys.mark_of("was").problem(_LATER))
        nameless = value_needed and is_null(keys.nodes.get("value"))
        if nameless:
            mark = keys.mark_of("value")
            self.structurer.note(mark.problem("is missing", "name the column of the number"))
        definition = self.structurer.build(MetricDefinition, keys.without("was"))
        if reserved or nameless:
            raise Failed
        return definition

    def _parts(self) -> dict[str, Any]:
        values: dict[str, Any] = {"source": Source()}
        if (source := self._node("source", required=True)) is not None:
            self._built = self._part("source", lambda: self.plugins.source(source))
            if self._built is not None:
                values |= {
                    "source": self._built.source,
                    "query": self._built.query,
                    "shared_source": self._built.shared,
                }
        if (sinks := self._node("sinks", required=True)) is not None:
            values["sinks"] = self._part("sinks", lambda: self.plugins.sinks(sinks)) or {}
            values["shared_sinks"] = shared_names(sinks)
        if (schedule := self._node("schedule")) is not None:
            values["schedule"] = self._part("schedule", lambda: self.plugins.schedule(schedule))
        return values

    def _node(self, key: str, *, required: bool = False) -> Node | None:
        node = self.document.nodes.get(key)
        if node is not None and not is_null(node):
            return node
        if required and key not in self._failed:
            self._failed.add(key)
            self.structurer.note(self.document.mark_of(key).problem("is missing", _NEEDED[key]))
        return None

    def _value(self, key: str, kind: Any, otherwise: Any = None, *, required: bool = False) -> Any:
        node = self._node(key, required=required)
        if node is None:
            return otherwise
        value = self._part(key, lambda: self.structurer.structure(node, kind))
        return otherwise if value is None else value

    def _part(self, key: str, build: Callable[[], T]) -> T | None:
        """Build a part, or note that it failed, or that references in it lead nowhere."""
        dangling = self.structurer.dangling
        try:
            return build()
        except Failed:
            self._failed.add(key)
            return None
        finally:
            if self.structurer.dangling > dangling:
                self._doubtful.add(key)

    def _place(self, problem: Problem) -> None:
        """Note a problem of the built collector where its key stands.

        What is said of a part that failed, or of text that is not known yet, is void.
        """
        if any(_is_within(problem.path, part) for part in self._failed):
            return
        if problem.path == "id" and "id" not in self.document.nodes:
            return  # it is the name's, which has been told
        if any(_is_within(problem.path, part) for part in self._doubtful):
            self._failed.add(problem.path)
            return
        if problem.path == "source.config" and self._built is not None:
            self._place_at_query(problem, self._built)
        else:
            mark = _place_of(self.document, problem.path)
            self.structurer.note(mark.problem(problem.message, problem.remedy))

    def _place_at_query(self, problem: Problem, built: Built) -> None:
        key, message = placed("", problem.message, set(built.config.nodes))
        mark = built.config.mark_of(key) if key else built.query_mark
        self.structurer.note(mark.problem(message, problem.remedy))


def _is_within(path: str, part: str) -> bool:
    return path.startswith(part) and path[len(part) : len(part) + 1] in ("", ".", "[")


def _place_of(node: Node, path: str) -> Mark:
    """Return the mark of a path, which may end before its end; keys may hold dots."""
    mark = node.mark
    while path:
        if isinstance(node, Keys):
            found = [key for key in node.nodes if key and _is_within(path, key)]
            if not found:
                return mark.at(path)
            key = max(found, key=len)
            mark, node, path = node.mark_of(key), node.nodes[key], path[len(key) :]
        elif isinstance(node, Items) and (match := _INDEX.match(path)):
            node = node.nodes[int(match[1])]
            mark, path = node.mark, path[match.end() :]
        else:
            return mark.at(path)
        path = path.removeprefix(".")
    return mark
