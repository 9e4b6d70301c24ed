"""What the collectors of a project share: the contents of `signals.yaml`."""

from __future__ import annotations

from os.path import normpath
from pathlib import Path
from zoneinfo import ZoneInfo

from attrs import define, field

from signals_core.config.nodes import Keys, Mark, Node, Scalar, is_null
from signals_core.config.structure import Failed, Structurer
from signals_core.window import zone_named

#: The keys of a project, and what each is for.
PROJECT_KEYS = {
    "version": "The version of this form: 1.",
    "timezone": "The zone of collectors that name none, as Europe/Paris.",
    "sources": "Shared sources by name; a collector says source: {use: NAME, config: …}.",
    "sinks": "Shared sinks by name; a collector says sinks: [NAME].",
    "plugins": "Files with plugins of this project's own: [./mine.py], relative to this file.",
    "defaults": "What holds for collectors that do not say otherwise; tags merge by key.",
}

#: One of them makes a document a project: no collector has it.
MARKS_OF_PROJECT = ("version", "sources", "defaults")
_SECTIONS = ("sources", "sinks", "defaults")
_RESERVED = ("retention",)
NOT_DEFAULTS = ("id", "metric", "metrics", "name", "source", "timezone")


@define
class Project:
    """The shared sources and sinks by name, the defaults, and the time zone, as nodes.

    `plugins` are the files that bring types of the project's own, and where each is named.
    `unread` names the sections that could not be read: of what may be in there, nothing is said
    to be missing.
    """

    timezone: Scalar | None = None
    zone: ZoneInfo = field(factory=lambda: zone_named("UTC"))
    sources: dict[str, Node] = field(factory=dict)
    sinks: dict[str, Node] = field(factory=dict)
    defaults: Keys | None = None
    plugins: list[tuple[Path, Mark]] = field(factory=list)
    unread: set[str] = field(factory=set)

    @classmethod
    def unreadable(cls) -> Project:
        """Return what is known of a project whose file cannot be read: nothing."""
        return cls(unread={*_SECTIONS, "plugins"})


def is_project(document: Node) -> bool:
    """Whether a document has a key that only a project has."""
    return isinstance(document, Keys) and bool(document.nodes.keys() & set(MARKS_OF_PROJECT))


def read_project(
    document: Node, structurer: Structurer, collector_keys: tuple[str, ...]
) -> Project:
    """Read the first document of `signals.yaml`, noting its problems."""
    try:
        keys = structurer.keys(document)
    except Failed:
        return Project.unreadable()
    project = Project()
    for key in keys.nodes:
        if key in _RESERVED:
            structurer.note(keys.mark_of(key).problem("is reserved for a later version"))
        elif key not in PROJECT_KEYS:
            structurer.unknown(keys, key, PROJECT_KEYS)
    _check_version(keys, structurer)
    _read_timezone(keys, project, structurer)
    project.plugins = _plugin_files(keys, project, structurer)
    project.sources = _named(keys, "sources", project, structurer)
    project.sinks = _named(keys, "sinks", project, structurer)
    project.defaults = _defaults(keys, project, structurer, collector_keys)
    return project


def _check_version(document: Keys, structurer: Structurer) -> None:
    version = document.nodes.get("version")
    if is_null(version):
        structurer.note(document.mark_of("version").problem("is missing", "write version: 1"))
    elif not isinstance(version, Scalar) or version.text != "1":
        mark = document.mark_of("version")
        structurer.note(mark.problem("is no version known here", "write version: 1"))


def _read_timezone(document: Keys, project: Project, structurer: Structurer) -> None:
    node = document.nodes.get("timezone")
    if node is None or is_null(node):
        return
    dangling, name = structurer.dangling, structurer.attempt(node, str)
    if name is None or not isinstance(node, Scalar):
        return
    try:
        project.zone = zone_named(name)
    except ValueError as error:
        if structurer.dangling == dangling:
            structurer.note(node.mark.problem(str(error)))
            return
    project.timezone = node


def _plugin_files(
    document: Keys, project: Project, structurer: Structurer
) -> list[tuple[Path, Mark]]:
    node = document.nodes.get("plugins")
    if node is None or is_null(node):
        return []
    found = []
    try:
        items = structurer.items(node, "write [./mine.py]").nodes
    except Failed:
        project.unread.add("plugins")
        return []
    for item in items:
        dangling, file = structurer.dangling, structurer.attempt(item, Path)
        if file is None or structurer.dangling > dangling:
            project.unread.add("plugins")
        else:
            found.append((Path(normpath(file)), item.mark))
    return found


def _section(
    document: Keys, key: str, project: Project, structurer: Structurer, remedy: str
) -> Keys:
    node = document.nodes.get(key)
    nothing = Keys({}, document.mark_of(key))
    if node is None or is_null(node):
        return nothing
    try:
        return structurer.keys(node, remedy)
    except Failed:
        project.unread.add(key)
        return nothing


def _named(document: Keys, key: str, project: Project, structurer: Structurer) -> dict[str, Node]:
    section = _section(document, key, project, structurer, "write {NAME: {type: …}}")
    for name in section.nodes:
        if "/" in name or not name:
            mark = section.mark_of(name)
            structurer.note(mark.problem(f"{name!r} is no name", "write one without a slash"))
    return section.nodes


def _defaults(
    document: Keys, project: Project, structurer: Structurer, collector_keys: tuple[str, ...]
) -> Keys:
    section = _section(document, "defaults", project, structurer, "write a mapping")
    allowed = [key for key in collector_keys if key not in NOT_DEFAULTS]
    for key in section.nodes:
        if key in allowed:
            continue
        if key in collector_keys:
            remedy = "set timezone beside defaults" if key == "timezone" else ""
            structurer.note(section.mark_of(key).problem("cannot have a default", remedy))
        else:
            structurer.unknown(section, key, allowed)
    return section.only(allowed)


def with_defaults(document: Keys, project: Project) -> Keys:
    """Return a collector's document completed by the project.

    Tags merge by key, all else is replaced whole; a null takes a default away.
    """
    defaults = project.defaults.nodes if project.defaults is not None else {}
    for key, default in defaults.items():
        own = document.nodes.get(key)
        if key == "tags" and isinstance(own, Keys) and isinstance(default, Keys):
            merged = {**default.nodes, **own.nodes}
            document = document.with_key(
                key, Keys(merged, own.mark, {**default.marks, **own.marks})
            )
        elif own is None:
            document = document.with_key(key, default)
    if "timezone" not in document.nodes and project.timezone is not None:
        document = document.with_key("timezone", project.timezone)
    return document
