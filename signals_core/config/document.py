"""One collector out of one document."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from attrs import define, field

from signals_core.collector import Collector, MetricDefinition, WindowPolicy, problems_of
from signals_core.config.nodes import Items, Keys, Mark, Node, Scalar, kind_of
from signals_core.config.plugins import Plugins
from signals_core.config.structure import Failed, Structurer
from signals_core.errors import Problem
from signals_core.plugin import Source
from signals_core.window import zone_named

COLLECTOR_KEYS = (
    "name", "id", "metric", "metrics", "grain", "timezone", "tags", "window", "schedule",
    "source", "sinks", "timeout", "max_rows", "owner", "description",
)  # fmt: skip
_RESERVED = (
    "tests",
    "labels",
    "was",
    "for_each",
    "fill",
    "expect",
    "plugins",
    "retention",
    "receipt",
)
_METRIC_KEYS = ("name", "type", "value", "tags", "unit", "description")
_PATH_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")


def is_collector(document: Node) -> bool:
    """Whether a document is meant as a collector; one that is not is passed over."""
    return isinstance(document, Keys) and bool(
        document.nodes.keys() & {"source", "metric", "metrics"}
    )


@define
class DocumentReader:
    """Reads one document, in which every problem is noted, into a collector."""

    document: Keys
    structurer: Structurer
    plugins: Plugins
    _failed: set[str] = field(init=False, factory=set)

    def read(self) -> Collector | None:
        """Return the collector; None when it cannot be built, its problems being noted.

        A part that is wrong is stood in for, so that the checks of the others still run.
        """
        before = sum(not problem.warning for problem in self.structurer.problems)
        self._check_keys()
        self._hoist_from_metric()
        values = {**self._texts(), **self._numbers(), **self._metrics(), **self._parts()}
        collector = Collector(**values)
        for problem in problems_of(collector):
            self._place(problem)
        self._need_schedule(collector)
        after = sum(not problem.warning for problem in self.structurer.problems)
        return collector if before == after and not self._failed else None

    def _check_keys(self) -> None:
        for key in self.document.nodes.keys() - set(COLLECTOR_KEYS):
            if key in _RESERVED:
                mark = self.document.mark_of(key)
                self.structurer.note(mark.problem("is reserved for a later version"))
            else:
                self.structurer.unknown(self.document, key, list(COLLECTOR_KEYS))

    def _hoist_from_metric(self) -> None:
        """Read `metric.grain` and `metric.tags` as the collector's."""
        metric = self.document.nodes.get("metric")
        if not isinstance(metric, Keys):
            return
        if (grain := metric.nodes.get("grain")) is not None:
            self._hoist("grain", grain)
        tags, own = metric.nodes.get("tags"), self.document.nodes.get("tags")
        if isinstance(tags, Keys) and isinstance(own, Keys):
            merged = {**own.nodes, **tags.nodes}
            tags = Keys(merged, tags.mark, {**own.marks, **tags.marks})
        if tags is not None:
            self.document = self.document.with_key("tags", tags)
        self.document = self.document.with_key("metric", metric.without("grain", "tags"))

    def _hoist(self, key: str, node: Node) -> None:
        if key in self.document.nodes and self.document.nodes[key] != node:
            self._note(node, f"the collector has a {key} already", "keep one of the two")
        self.document = self.document.with_key(key, node)

    def _texts(self) -> dict[str, Any]:
        values = {"name": self._value("name", str, required=True) or "?"}
        values["id"] = self._value("id", str) or values["name"]
        values["timezone"] = self._value("timezone", str) or "UTC"
        for key in ("grain", "owner", "description"):
            values[key] = self._value(key, str | None)
        try:
            self.structurer.zone = zone_named(values["timezone"])
        except ValueError:
            self.structurer.zone = zone_named("UTC")
        return values

    def _numbers(self) -> dict[str, Any]:
        found = {
            "timeout": self._value("timeout", timedelta),
            "max_rows": self._value("max_rows", int),
            "tags": self._tags(self.document.nodes.get("tags")),
            "window": self._window(),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _window(self) -> WindowPolicy | None:
        node = self.document.nodes.get("window")
        if isinstance(node, Keys):
            for key in node.nodes.keys() & {"partial"}:
                mark = node.mark_of(key)
                self.structurer.note(mark.problem("is reserved for a later version"))
            catch_up = node.nodes.get("catch_up")
            rest = node.without("partial")
            if isinstance(catch_up, Scalar) and catch_up.text == "all":
                rest = rest.without("catch_up")
            self.document = self.document.with_key("window", rest)
        return self._value("window", WindowPolicy)  # type: ignore[no-any-return]  # or None

    def _metrics(self) -> dict[str, Any]:
        nodes = self.document.nodes
        if ("metric" in nodes) == ("metrics" in nodes):
            self._failed.add("metric")
            self.structurer.note(
                self.document.mark.at("metric").problem(
                    "exactly one of metric and metrics is needed",
                    "write metric: {name: …, type: COUNT}",
                )
            )
            return {"metric": MetricDefinition("?", "COUNT")}
        if "metric" in nodes:
            definition = self._definition(nodes["metric"], "metric")
            return {"metric": definition or MetricDefinition("?", "COUNT")}
        many = nodes["metrics"]
        if not isinstance(many, Items) or not many.nodes:
            self._note(many, f"is {kind_of(many)}", "write a list of metrics")
            self._failed.add("metric")
            return {"metric": MetricDefinition("?", "COUNT")}
        read = [self._definition(item, "metrics") for item in many.nodes]
        return {"metrics": [definition for definition in read if definition]}

    def _definition(self, node: Node, path: str) -> MetricDefinition | None:
        try:
            if not isinstance(node, Keys):
                self._note(node, f"is {kind_of(node)}", "write {name: …, type: COUNT}")
                raise Failed
            if isinstance(tags := node.nodes.get("tags"), Keys):
                node = node.with_key("tags", _without_nulls(tags))
            for key in node.nodes.keys() & {"was"}:
                mark = node.mark_of(key)
                self.structurer.note(mark.problem("is reserved for a later version"))
            if path == "metrics" and "value" not in node.nodes:
                self.structurer.note(
                    node.mark.at("value").problem("is missing", "name the column of the number")
                )
            return self.structurer.build(MetricDefinition, node.without("was"))
        except Failed:
            self._failed.add(path)
            return None

    def _parts(self) -> dict[str, Any]:
        values: dict[str, Any] = {"source": Source()}
        if (node := self._node("source", required=True)) is not None:
            try:
                values["source"], values["query"], key = self.plugins.source(node)
                self._query_path = f"source.config.{key}" if key else "source.config"
            except Failed:
                self._failed.add("source")
        if (node := self._node("sinks", required=True)) is not None:
            values["sinks"] = self._part("sinks", node, self.plugins.sinks) or {}
        if (node := self._node("schedule")) is not None:
            values["schedule"] = self._part("schedule", node, self.plugins.schedule)
        return values

    def _part(self, key: str, node: Node, build: Any) -> Any:
        try:
            return build(node)
        except Failed:
            self._failed.add(key)
            return None

    def _need_schedule(self, collector: Collector) -> None:
        if collector.window is None and "window" not in self._failed:
            self._node("schedule", required=True)

    def _node(self, key: str, *, required: bool = False) -> Node | None:
        node = self.document.nodes.get(key)
        empty = node is None or (isinstance(node, Scalar) and node.null)
        if empty and required:
            self._failed.add(key)
            remedy = {
                "schedule": "write schedule: {interval: 1m}, or a window",
                "sinks": "write sinks: {console: {type: console}}",
                "source": "write source: {type: …, config: …}",
            }.get(key, "")
            self.structurer.note(self.document.mark.at(key).problem("is missing", remedy))
        return None if empty else node

    def _value(self, key: str, kind: Any, *, required: bool = False) -> Any:
        node = self._node(key, required=required)
        if node is None:
            return None
        try:
            return self.structurer.structure(node, kind)
        except Failed:
            self._failed.add(key)
            return None

    def _tags(self, node: Node | None) -> dict[str, str] | None:
        if isinstance(node, Keys):
            self.document = self.document.with_key("tags", _without_nulls(node))
        return self._value("tags", dict[str, str])  # type: ignore[no-any-return]  # or None

    def _place(self, problem: Problem) -> None:
        """Note a problem of the built collector where its key stands."""
        steps = _PATH_STEP.findall(problem.path)
        if self._failed & {steps[0], "metric" if steps[0] == "metrics" else ""}:
            return
        path = problem.path
        if path == "source.config":
            steps = _PATH_STEP.findall(self._query_path)
        mark, node = self.document.mark, self.document
        for step in steps:
            mark, node = _step(mark, node, step)  # type: ignore[assignment]  # None ends the walk
        self.structurer.note(mark.problem(problem.message, problem.remedy))

    _query_path: str = field(init=False, default="source.config")

    def _note(self, node: Node, message: str, remedy: str = "") -> None:
        self.structurer.note(node.mark.problem(message, remedy))


def _step(mark: Mark, node: Node | None, step: str) -> tuple[Mark, Node | None]:
    if step.startswith("["):
        index = int(step[1:-1])
        if isinstance(node, Items) and index < len(node.nodes):
            return node.nodes[index].mark, node.nodes[index]
    elif isinstance(node, Keys):
        return node.mark_of(step), node.nodes.get(step)
    return mark, None


def _without_nulls(tags: Keys) -> Keys:
    """A tag that is null is absent: it also takes a default's tag away."""
    empty = [key for key, node in tags.nodes.items() if isinstance(node, Scalar) and node.null]
    return tags.without(*empty)
