"""What the collectors of a project share: the contents of `signals.yaml`."""

from __future__ import annotations

from attrs import define, field

from signals_core.config.nodes import Keys, Node, Scalar, kind_of
from signals_core.config.structure import Structurer
from signals_core.window import zone_named

_KEYS = ("version", "timezone", "sources", "sinks", "defaults")
_RESERVED = ("plugins", "retention")
_NOT_DEFAULTS = ("id", "metric", "metrics", "name", "source", "timezone")


@define
class Project:
    """The shared sources and sinks by name, the defaults, and the time zone, as nodes."""

    timezone: Scalar | None = None
    sources: dict[str, Keys] = field(factory=dict)
    sinks: dict[str, Keys] = field(factory=dict)
    defaults: dict[str, Node] = field(factory=dict)


def read_project(
    document: Node, structurer: Structurer, collector_keys: tuple[str, ...]
) -> Project:
    """Read the first document of `signals.yaml`, noting its problems."""
    project = Project()
    if not isinstance(document, Keys):
        structurer.note(document.mark.problem(f"is {kind_of(document)}", "write a mapping"))
        return project
    for key in document.nodes:
        if key in _RESERVED:
            structurer.note(document.mark_of(key).problem("is reserved for a later version"))
        elif key not in _KEYS:
            structurer.unknown(document, key, list(_KEYS))
    _check_version(document, structurer)
    project.timezone = _timezone(document, structurer)
    project.sources = _named(document, "sources", structurer)
    project.sinks = _named(document, "sinks", structurer)
    project.defaults = _defaults(document, structurer, collector_keys)
    return project


def _check_version(document: Keys, structurer: Structurer) -> None:
    version = document.nodes.get("version")
    if version is None:
        structurer.note(document.mark.at("version").problem("is missing", "write version: 1"))
    elif not isinstance(version, Scalar) or version.text != "1":
        structurer.note(document.mark_of("version").problem("is no version known here", "1"))


def _timezone(document: Keys, structurer: Structurer) -> Scalar | None:
    node = document.nodes.get("timezone")
    name = structurer.attempt(node, str) if node is not None else None
    if name is None or not isinstance(node, Scalar):
        return None
    try:
        zone_named(name)
    except ValueError as error:
        structurer.note(node.mark.problem(str(error)))
        return None
    return node


def _named(document: Keys, key: str, structurer: Structurer) -> dict[str, Keys]:
    section = document.nodes.get(key)
    if section is None or (isinstance(section, Scalar) and section.null):
        return {}
    if not isinstance(section, Keys):
        structurer.note(section.mark.problem(f"is {kind_of(section)}", "write names: {type: …}"))
        return {}
    found = {}
    for name, node in section.nodes.items():
        if not isinstance(node, Keys):
            structurer.note(node.mark.problem(f"is {kind_of(node)}", "write {type: …, config: …}"))
        elif "/" in name:
            structurer.note(section.mark_of(name).problem("a name holds no slash"))
        else:
            found[name] = node
    return found


def _defaults(
    document: Keys, structurer: Structurer, collector_keys: tuple[str, ...]
) -> dict[str, Node]:
    section = document.nodes.get("defaults")
    if section is None or (isinstance(section, Scalar) and section.null):
        return {}
    if not isinstance(section, Keys):
        structurer.note(section.mark.problem(f"is {kind_of(section)}", "write a mapping"))
        return {}
    allowed = [key for key in collector_keys if key not in _NOT_DEFAULTS]
    for key in section.nodes.keys() - set(allowed):
        if key in collector_keys:
            remedy = "set timezone beside defaults" if key == "timezone" else ""
            structurer.note(section.mark_of(key).problem("cannot have a default", remedy))
        else:
            structurer.unknown(section, key, allowed)
    return {key: node for key, node in section.nodes.items() if key in allowed}


def with_defaults(document: Keys, project: Project) -> Keys:
    """Return a collector's document completed by the project: tags merge, all else is replaced."""
    for key, default in project.defaults.items():
        own = document.nodes.get(key)
        if key == "tags" and isinstance(own, Keys) and isinstance(default, Keys):
            document = document.with_key(
                key,
                Keys({**default.nodes, **own.nodes}, own.mark, {**default.marks, **own.marks}),
            )
        elif own is None:
            document = document.with_key(key, default)
    if "timezone" not in document.nodes and project.timezone is not None:
        document = document.with_key("timezone", project.timezone)
    return document
