"""Sources, sinks and schedules out of `{type, config}` and `{use, config}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field

from signals_core.config.nodes import Items, Keys, Mark, Node, Scalar, is_null
from signals_core.config.project import Project
from signals_core.config.structure import Failed, Structurer, nearest
from signals_core.errors import PluginError
from signals_core.plugin import Plugin, Schedule, Sink, Source
from signals_core.registry import Registry

T = TypeVar("T")

#: The types whose fields may stand in the place of `{type, config}`.
SHORT_SCHEDULES = ("interval", "cron")
_SCHEDULE = 'write {interval: 30s}, {cron: "5 0 * * *"} or {type: …, config: …}'


@define
class _Shared:
    """A shared source or sink: its class and configuration, and its one instance."""

    name: str
    cls: type[Plugin]
    config: Keys
    sound: bool
    dangling: int = 0
    used: bool = False
    built: list[Plugin | None] = field(factory=list)


@define
class _Spec:
    """A plugin as it is configured: its class, its whole configuration, and what is its own."""

    cls: type[Plugin]
    config: Keys
    own: Keys
    shared: _Shared | None = None


@define
class Built:
    """A collector's source and query, where the query stands, and the name of a shared source.

    Without the keys that nothing knows, which make it unsound, it could be built.
    """

    source: Source
    query: Any
    config: Keys
    query_mark: Mark
    sound: bool
    shared: str | None


@define
class Plugins:
    """Builds plugins; what is shared is built once."""

    structurer: Structurer
    registry: Registry
    project: Project
    _shared: dict[tuple[str, str], _Shared | None] = field(init=False, factory=dict)

    def source(self, node: Node) -> Built:
        """Return a collector's source with its query. Raises `Failed`."""
        spec = self._spec("source", node)
        own_fields, query_fields = self._fields(spec.cls)
        sound = not self.structurer.unknown_keys(spec.own, {**own_fields, **query_fields})
        source = self._attempt(lambda: self._connection(spec, own_fields))
        query_class, query = getattr(spec.cls, "Query", None), None
        if query_class:
            of_query = spec.config.only(query_fields)
            query = self._attempt(lambda: self.structurer.build(query_class, of_query))
        if source is None or (query_class and query is None):
            raise Failed
        assert isinstance(source, Source)
        present = [key for key in query_fields if key in spec.config.nodes]
        mark = spec.config.mark_of(present[-1]) if present else spec.config.mark
        sound &= spec.shared is None or spec.shared.sound
        return Built(
            source, query, spec.config, mark, sound, spec.shared.name if spec.shared else None
        )

    def sinks(self, node: Node) -> dict[str, Sink]:
        """Return a collector's sinks by name: a shared one by its shared name. Raises `Failed`."""
        specs: list[tuple[str, Node]]
        if isinstance(node, Items):
            specs = [("", Keys({"use": item}, item.mark)) for item in node.nodes]
        else:
            specs = list(
                self.structurer.keys(node, "write {NAME: {type: …}} or [NAME]").nodes.items()
            )
        if not specs:
            self.structurer.note(node.mark.problem("is empty", "metrics must go somewhere"))
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
        keys = self.structurer.keys(node, _SCHEDULE)
        if "type" not in keys.nodes:
            short = [key for key in SHORT_SCHEDULES if key in keys.nodes]
            if len(short) != 1:
                self.structurer.note(node.mark.problem("is no schedule", _SCHEDULE))
                raise Failed
            keys = Keys({"type": Scalar(short[0], node.mark), "config": keys}, node.mark)
        spec = self._spec("schedule", keys)
        schedule = self.structurer.build(spec.cls, spec.config)
        assert isinstance(schedule, Schedule)
        return schedule

    def check_shared(self) -> None:
        """Look at all shared sources and sinks; build those that no collector used."""
        for kind, table in (("source", self.project.sources), ("sink", self.project.sinks)):
            for name in table:
                shared = self._shared_named(kind, name)
                if shared is not None and not shared.used:
                    self._instance(shared)

    def _sink(self, key: str, node: Node) -> tuple[str, Sink]:
        spec = self._spec("sink", node)
        fields, _ = self._fields(spec.cls)
        failed = self.structurer.unknown_keys(spec.own, fields)
        sink = self._connection(spec, fields)
        if spec.shared is None and ("/" in key or not key):
            self.structurer.note(
                node.mark.problem(f"{key!r} is no name", "write one without a slash")
            )
            raise Failed
        if failed or (spec.shared is not None and not spec.shared.sound):
            raise Failed
        assert isinstance(sink, Sink)
        return spec.shared.name if spec.shared else key, sink

    def _connection(self, spec: _Spec, fields: Mapping[str, Any]) -> Plugin:
        if spec.shared is None:
            return self.structurer.build(spec.cls, spec.config.only(fields))
        spec.shared.used = True
        if spec.own.only(fields).nodes:
            return self.structurer.build(spec.cls, spec.config.only(fields))
        if (plugin := self._instance(spec.shared)) is None:
            raise Failed
        return plugin

    def _instance(self, shared: _Shared) -> Plugin | None:
        """Return the one instance of what is shared, built in the zone of the project."""
        if shared.built:
            self.structurer.dangling += shared.dangling  # told once, and true for each that uses it
        else:
            dangling = self.structurer.dangling
            own_fields, _ = self._fields(shared.cls)
            config = shared.config.only(own_fields)
            zone, self.structurer.zone = self.structurer.zone, self.project.zone
            shared.built.append(self._attempt(lambda: self.structurer.build(shared.cls, config)))
            self.structurer.zone = zone
            shared.dangling = self.structurer.dangling - dangling
        return shared.built[0]

    def _spec(self, kind: str, node: Node) -> _Spec:
        keys = self.structurer.keys(node, f"write a {kind} as {{type: …, config: …}}")
        failed = self.structurer.unknown_keys(keys, ("type", "use", "config"))
        if ("type" in keys.nodes) == ("use" in keys.nodes):
            if "type" in keys.nodes or not failed:  # else a typo stands where the type belongs
                remedy = "take one of the two out" if "type" in keys.nodes else "write type: …"
                self.structurer.note(keys.mark.problem("needs exactly one of type and use", remedy))
            raise Failed
        own = self._config(keys)
        if "type" in keys.nodes:
            spec = _Spec(self._class(kind, keys.nodes["type"]), own, own)
        else:
            shared = self._shared_by(kind, keys.nodes["use"])
            if kind == "sink" and own.nodes:
                remedy = "take this out, or give the sink a type"
                self.structurer.note(own.mark.problem("a shared sink is one for all", remedy))
                raise Failed
            spec = _Spec(shared.cls, self._merged(shared, own), own, shared)
        if failed:
            raise Failed
        return spec

    def _shared_by(self, kind: str, use: Node) -> _Shared:
        name = self.structurer.known_text(use)
        table = self._table(kind)
        if name not in table:
            if f"{kind}s" not in self.project.unread:
                where = nearest(name, list(table)) if table else "signals.yaml has none"
                self.structurer.note(use.mark.problem(f"there is no shared {kind} {name!r}", where))
            raise Failed
        shared = self._shared_named(kind, name)
        if shared is None:
            raise Failed
        return shared

    def _table(self, kind: str) -> dict[str, Node]:
        return {"source": self.project.sources, "sink": self.project.sinks}.get(kind, {})

    def _shared_named(self, kind: str, name: str) -> _Shared | None:
        """Return what is shared by that name, None when it is wrong, which is noted once."""
        key = (kind, name)
        if key not in self._shared:
            node = self._table(kind)[name]
            self._shared[key] = self._attempt(lambda: self._read_shared(kind, name, node))
        return self._shared[key]

    def _read_shared(self, kind: str, name: str, node: Node) -> _Shared:
        keys = self.structurer.keys(node, f"write a {kind} as {{type: …, config: …}}")
        failed = self.structurer.unknown_keys(keys, ("type", "config"))
        if "type" not in keys.nodes:
            self.structurer.note(keys.mark_of("type").problem("is missing", "write type: …"))
            raise Failed
        config = self._config(keys)
        cls = self._class(kind, keys.nodes["type"])
        own_fields, query_fields = self._fields(cls)
        failed |= self.structurer.unknown_keys(config, {**own_fields, **query_fields})
        return _Shared(name, cls, config, not failed)

    def _merged(self, shared: _Shared, own: Keys) -> Keys:
        twice = [key for key in own.nodes if key in shared.config.nodes]
        for key in twice:
            self.structurer.note(
                own.mark_of(key).problem(
                    f"is given by the shared {shared.name!r} already",
                    f"take it out here or in {shared.config.mark_of(key).file}",
                )
            )
        if twice:
            raise Failed
        of_shared = shared.config
        return Keys({**of_shared.nodes, **own.nodes}, own.mark, {**of_shared.marks, **own.marks})

    def _config(self, keys: Keys) -> Keys:
        config = keys.nodes.get("config")
        if config is None or is_null(config):
            return Keys({}, keys.mark_of("config"))
        return self.structurer.keys(config)

    def _class(self, kind: str, node: Node) -> type[Plugin]:
        name = self.structurer.known_text(node)
        try:
            return self.registry.load(kind, name)
        except PluginError as error:
            is_there = (kind, name) in self.registry.types
            if is_there or "plugins" not in self.project.unread:
                self.structurer.note(node.mark.problem(error.reason, error.remedy))
            raise Failed from None

    def _fields(self, cls: type[Plugin]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the fields of a class and those of its query, by key."""
        query_class = getattr(cls, "Query", None)
        query_fields = self.structurer.fields(query_class) if query_class else {}
        return self.structurer.fields(cls), query_fields

    @staticmethod
    def _attempt(build: Callable[[], T]) -> T | None:
        try:
            return build()
        except Failed:
            return None


def shared_names(sinks: Node) -> frozenset[str]:
    """Return the names of the shared sinks among a collector's."""
    if isinstance(sinks, Items):
        return frozenset(item.text for item in sinks.nodes if isinstance(item, Scalar))
    specs = sinks.nodes.values() if isinstance(sinks, Keys) else ()
    used = (spec.nodes.get("use") for spec in specs if isinstance(spec, Keys))
    return frozenset(name.text for name in used if isinstance(name, Scalar))
