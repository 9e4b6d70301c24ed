"""Sources, sinks and schedules out of `{type, config}` and `{use, config}`."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from signals_core.config.nodes import Items, Keys, Node, Scalar, kind_of
from signals_core.config.project import Project
from signals_core.config.structure import Failed, Structurer, nearest
from signals_core.errors import PluginError
from signals_core.plugin import Plugin, Schedule, Sink, Source
from signals_core.registry import Registry

_SHORT_SCHEDULES = ("interval", "cron")


@define
class _Spec:
    """A plugin as it is configured: its class, its whole configuration, and what is its own."""

    cls: type[Plugin]
    config: Keys
    own: Keys
    shared: str | None


@define
class Plugins:
    """Builds plugins; what is shared is built once."""

    structurer: Structurer
    registry: Registry
    project: Project
    _shared: dict[tuple[str, str], Plugin | None] = field(init=False, factory=dict)

    def source(self, node: Node) -> tuple[Source, Any, str]:
        """Return the source, the collector's query and the key the query's text is under.

        Raises `Failed`.
        """
        spec = self._spec("source", node, self.project.sources)
        query_class = getattr(spec.cls, "Query", None)
        query_fields = self.structurer.fields(query_class) if query_class else {}
        own_fields = self.structurer.fields(spec.cls)
        known = {**own_fields, **query_fields}
        failed = self._note_unknown(spec.config, known)
        source = self._attempt(lambda: self._connection(spec, frozenset(own_fields)))
        query = None
        if query_class:
            of_query = spec.config.only(query_fields)
            query = self._attempt(lambda: self.structurer.build(query_class, of_query))
        if failed or source is None or (query_class and query is None):
            raise Failed
        present = [key for key in query_fields if key in spec.config.nodes]
        return source, query, present[-1] if present else ""

    def sinks(self, node: Node) -> dict[str, Sink]:
        """Return a collector's sinks by name: a shared one by its shared name. Raises `Failed`."""
        specs: list[tuple[str, Node]]
        if isinstance(node, Items):
            specs = [("", Keys({"use": item}, item.mark)) for item in node.nodes]
        elif isinstance(node, Keys):
            specs = list(node.nodes.items())
        else:
            self.structurer.note(
                node.mark.problem(f"is {kind_of(node)}", "write {NAME: {type: …}} or [NAME]")
            )
            raise Failed
        found: dict[str, Sink] = {}
        failed = False
        for key, spec_node in specs:
            try:
                name, sink = self._sink(key, spec_node)
            except Failed:
                failed = True
                continue
            if name in found:
                self.structurer.note(spec_node.mark.problem(f"the sink {name!r} is there already"))
                failed = True
            found[name] = sink
        if failed:
            raise Failed
        return found

    def schedule(self, node: Node) -> Schedule:
        """Return a schedule, from the long or the short form. Raises `Failed`."""
        if isinstance(node, Keys) and "type" not in node.nodes:
            short = [key for key in _SHORT_SCHEDULES if key in node.nodes]
            if len(short) != 1:
                self.structurer.note(
                    node.mark.problem(
                        "is no schedule", 'write {interval: 30s}, {cron: "5 0 * * *"} or {type: …}'
                    )
                )
                raise Failed
            kind = Scalar(short[0], node.mark)
            node = Keys({"type": kind, "config": node}, node.mark)
        spec = self._spec("schedule", node, {})
        schedule = self.structurer.build(spec.cls, spec.config)
        assert isinstance(schedule, Schedule)
        return schedule

    def check_shared(self) -> None:
        """Build the shared sources and sinks that no collector used, for their problems."""
        for kind, shared in (("source", self.project.sources), ("sink", self.project.sinks)):
            for name, node in shared.items():
                if (kind, name) not in self._shared:
                    self._attempt(lambda: self._unused(kind, node))  # noqa: B023 - called at once

    def _unused(self, kind: str, node: Keys) -> None:
        spec = self._spec(kind, node, {})
        query_class = getattr(spec.cls, "Query", None)
        query_fields = self.structurer.fields(query_class) if query_class else {}
        self._note_unknown(spec.config, {**self.structurer.fields(spec.cls), **query_fields})
        self.structurer.build(spec.cls, spec.config.without(*query_fields))

    def _sink(self, key: str, node: Node) -> tuple[str, Sink]:
        spec = self._spec("sink", node, self.project.sinks)
        sink = self._connection(spec, frozenset(self.structurer.fields(spec.cls)))
        self._note_unknown(spec.config, self.structurer.fields(spec.cls))
        name = spec.shared or key
        if "/" in name:
            self.structurer.note(node.mark.problem(f"the name {name!r} holds a slash"))
            raise Failed
        assert isinstance(sink, Sink)
        return name, sink

    def _connection(self, spec: _Spec, fields: frozenset[str]) -> Any:
        of_class = spec.config.only(fields)
        if spec.shared is None or spec.own.only(fields).nodes:
            return self.structurer.build(spec.cls, of_class)
        key = ("source" if issubclass(spec.cls, Source) else "sink", spec.shared)
        if key not in self._shared:
            self._shared[key] = self._attempt(lambda: self.structurer.build(spec.cls, of_class))
        if self._shared[key] is None:
            raise Failed
        return self._shared[key]

    def _spec(self, kind: str, node: Node, shared: dict[str, Keys]) -> _Spec:
        keys = self._mapping(node, kind)
        for key in keys.nodes.keys() - {"type", "use", "config"}:
            self.structurer.unknown(keys, key, ["type", "use", "config"])
        if ("type" in keys.nodes) == ("use" in keys.nodes):
            remedy = "take one of the two out" if "type" in keys.nodes else "write type: …"
            self.structurer.note(keys.mark.problem("needs exactly one of type and use", remedy))
            raise Failed
        own = self._config(keys)
        if "type" in keys.nodes:
            return _Spec(self._class(kind, keys.nodes["type"]), own, own, None)
        name = self.structurer.structure(keys.nodes["use"], str)
        if name not in shared:
            where = nearest(name, list(shared)) if shared else "signals.yaml has none"
            mark = keys.nodes["use"].mark
            self.structurer.note(mark.problem(f"there is no shared {kind} {name!r}", where))
            raise Failed
        base = shared[name]
        if "type" not in base.nodes:
            self.structurer.note(base.mark.at("type").problem("is missing"))
            raise Failed
        cls = self._class(kind, base.nodes["type"])
        return _Spec(cls, self._merged(name, self._config(base), own), own, name)

    def _merged(self, name: str, shared: Keys, own: Keys) -> Keys:
        twice = shared.nodes.keys() & own.nodes.keys()
        for key in twice:
            self.structurer.note(
                own.mark_of(key).problem(
                    f"is given by the shared {name!r} already",
                    f"take it out here or in {shared.mark_of(key).file}",
                )
            )
        if twice:
            raise Failed
        return Keys({**shared.nodes, **own.nodes}, own.mark, {**shared.marks, **own.marks})

    def _mapping(self, node: Node, kind: str) -> Keys:
        if isinstance(node, Keys):
            return node
        self.structurer.note(
            node.mark.problem(f"is {kind_of(node)}", f"write a {kind} as {{type: …, config: …}}")
        )
        raise Failed

    def _config(self, keys: Keys) -> Keys:
        config = keys.nodes.get("config")
        if config is None or (isinstance(config, Scalar) and config.null):
            return Keys({}, keys.mark.at("config"))
        if not isinstance(config, Keys):
            self.structurer.note(config.mark.problem(f"is {kind_of(config)}", "write a mapping"))
            raise Failed
        return config

    def _class(self, kind: str, node: Node) -> type[Plugin]:
        name = self.structurer.structure(node, str)
        try:
            return self.registry.load(kind, name)
        except PluginError as error:
            self.structurer.note(node.mark.problem(error.reason, error.remedy))
            raise Failed from None

    def _note_unknown(self, config: Keys, known: dict[str, Any]) -> bool:
        unknown = config.nodes.keys() - known.keys()
        for key in unknown:
            self.structurer.unknown(config, key, list(known))
        return bool(unknown)

    @staticmethod
    def _attempt(build: Any) -> Any:
        try:
            return build()
        except Failed:
            return None
