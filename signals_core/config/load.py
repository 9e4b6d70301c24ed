"""Load a project: all of its files, all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

from signals_core.collector import Collector
from signals_core.config.dialect import modernise
from signals_core.config.document import COLLECTOR_KEYS, DocumentReader, is_collector
from signals_core.config.files import PROJECT_FILE, find
from signals_core.config.nodes import Keys, Node, compose
from signals_core.config.plugins import Plugins
from signals_core.config.project import Project, read_project, with_defaults
from signals_core.config.structure import Structurer
from signals_core.errors import Problem
from signals_core.registry import Registry


@frozen
class LoadedCollector:
    """A collector and the document it was read from, completed by what the project shares."""

    collector: Collector
    document: Keys


@frozen
class Loaded:
    """What was loaded: the collectors that are right, every problem, and what was passed over.

    A problem that is a warning is a reference that leads nowhere now.
    """

    collectors: list[LoadedCollector]
    problems: list[Problem]
    passed_over: list[str] = field(factory=list)
    project_file: Path | None = None


def load(
    paths: Sequence[Path], *, project: Path | None = None, registry: Registry | None = None
) -> Loaded:
    """Read the collectors of `paths` (default: the project found upward from here).

    Touches no network. `project` names another project file than the nearest `signals.yaml`.
    """
    found = find(paths, project)
    problems = list(found.problems)
    structurer = Structurer(problems)
    registry = registry or Registry.discover()
    shared, rest = Project(), []
    if found.project is not None and found.project.is_file():
        documents = _documents(found.project, problems)
        if documents:
            shared = read_project(documents[0], structurer, COLLECTOR_KEYS)
        if any(_same(file, found.project) for file in found.files):
            rest = documents[1:]
    for file in found.files:
        if file.name != PROJECT_FILE and not (found.project and _same(file, found.project)):
            rest += _documents(file, problems)
    plugins = Plugins(structurer, registry, shared)
    collectors, passed_over = [], []
    for document in rest:
        if not isinstance(document, Keys) or not is_collector(document):
            passed_over.append(f"{document.mark.file}:{document.mark.line}")
            continue
        modern = with_defaults(modernise(document, structurer.note), shared)
        reader = DocumentReader(modern, structurer, plugins)
        if (collector := reader.read()) is not None:
            collectors.append(LoadedCollector(collector, reader.document))
    plugins.check_shared()
    problems += _twice(collectors)
    if not collectors and not problems and not passed_over:
        where = ", ".join(map(str, paths)) or str(found.project)
        problems.append(Problem("there is no collector here", file=where))
    return Loaded(collectors, _in_order(problems), passed_over, found.project)


def _documents(file: Path, problems: list[Problem]) -> list[Node]:
    try:
        text = file.read_bytes()
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", file=str(file)))
        return []
    return compose(text, str(file), file.absolute().parent, problems)


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _twice(collectors: list[LoadedCollector]) -> list[Problem]:
    problems = []
    for key in ("name", "id"):
        first: dict[str, LoadedCollector] = {}
        for each in collectors:
            value = getattr(each.collector, key)
            other = first.setdefault(value, each)
            if other is not each and (key == "name" or value != each.collector.name):
                mark = other.document.mark_of(key)
                problems.append(
                    each.document.mark_of(key).problem(
                        f"{value!r} is the {key} of a collector in {mark.file}:{mark.line} already",
                        "give each collector its own",
                    )
                )
    return problems


def _in_order(problems: list[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: (problem.file, problem.line, problem.path))
