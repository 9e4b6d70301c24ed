"""Load a project: all of its files, all of its mistakes at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from signals_core.collector import Collector
from signals_core.config.dialect import modernise, with_references
from signals_core.config.document import COLLECTOR_KEYS, DocumentReader, hoisted, is_collector
from signals_core.config.files import find, short
from signals_core.config.nodes import Keys, Node, Scalar, compose
from signals_core.config.plugins import Plugins
from signals_core.config.project import Project, is_project, read_project, with_defaults
from signals_core.config.structure import Structurer
from signals_core.errors import Problem
from signals_core.registry import Registry
from signals_core.secret import mask


@frozen
class LoadedCollector:
    """A collector and the document it was read from, completed by what the project shares.

    `unresolved`: it holds a reference that leads nowhere now, so it cannot run yet.
    """

    collector: Collector
    document: Keys
    unresolved: bool = False


@frozen
class Loaded:
    """What was loaded: the collectors that are right, every problem, and what was passed over.

    A problem that is a warning is a reference that leads nowhere now. `waiting` names the
    collectors that have no other problem, and cannot be built without what it stands for.
    `unsound` names those that are not among `collectors`. `of_all` is what nobody can do without:
    mistakes in the project's own document, and in the paths that were given.
    """

    collectors: list[LoadedCollector]
    problems: list[Problem]
    passed_over: list[str] = field(factory=list)
    project_file: Path | None = None
    waiting: list[str] = field(factory=list)
    unsound: list[str] = field(factory=list)
    of_all: list[Problem] = field(factory=list)


def load(
    paths: Sequence[Path], *, project: Path | None = None, registry: Registry | None = None
) -> Loaded:
    """Read the collectors of `paths` (default: the project found upward from here).

    Touches no network. `project` names another project file than the nearest `signals.yaml`.
    """
    found = find(paths, project)
    problems = list(found.problems)
    structurer = Structurer(problems)
    shared, rest = _project(found.project, structurer)
    documents = rest if found.whole else []
    for file in found.files:
        documents += _documents(file, problems)
    registry = registry or Registry.discover()
    _add_files(registry, shared, structurer)
    plugins = Plugins(structurer, registry, shared)
    readers, passed_over = [], []
    for document in documents:
        if isinstance(document, Scalar) and document.refused:
            continue
        if not isinstance(document, Keys) or not is_collector(document):
            passed_over.append(f"{document.mark.file}:{document.mark.line}")
            continue
        before, dangling = structurer.mistakes, structurer.dangling
        modern = hoisted(modernise(document, structurer), structurer)
        reader = DocumentReader(with_defaults(modern, shared), structurer, plugins)
        reader.read()
        if structurer.mistakes > before:
            reader.collector = None
        reader.unresolved = structurer.dangling > dangling
        readers.append(reader)
    plugins.check_shared()
    if shared.defaults is not None:
        nothing = Keys({}, shared.defaults.mark)
        DocumentReader(with_defaults(nothing, shared), structurer, plugins).read_defaults()
    _refuse_twins(readers, structurer)
    if not readers and not problems and not passed_over:
        where = ", ".join(map(str, paths)) or str(found.project)
        remedy = "one is a .yaml file; `signals plugins TYPE` shows one to paste"
        problems.append(Problem("there is no collector here", remedy, file=where))
    collectors = [
        LoadedCollector(each.collector, each.document, each.unresolved)
        for each in readers
        if each.collector
    ]
    waiting = [
        each.name or str(each.document.mark.file) for each in readers if each.collector is None
    ]
    if any(not each.warning for each in problems):
        waiting = []  # some of them are wrong, or what they share is
    of_all = [*found.problems, *_of_project(problems, found.project, readers)]
    return Loaded(
        collectors,
        _in_order(problems),
        passed_over,
        found.project,
        waiting,
        [each.name for each in readers if each.collector is None and each.name],
        _in_order(of_all),
    )


def registry_of(paths: Sequence[Path], *, project: Path | None = None) -> Registry:
    """Return the types that are installed and those of the project's own, as `load` sees them."""
    registry, structurer = Registry.discover(), Structurer([])
    shared, _ = _project(find(paths, project).project, structurer)
    _add_files(registry, shared, structurer)
    return registry


def _add_files(registry: Registry, project: Project, structurer: Structurer) -> None:
    """Register what the files bring that the project names."""
    for file, mark in project.plugins:
        for broken in registry.add_file(file, str(short(file))):
            structurer.note(mark.problem(f"{broken.where}: {broken.reason}", broken.remedy))
            project.unread.add("plugins")


def _of_project(
    problems: list[Problem], project: Path | None, readers: list[DocumentReader]
) -> list[Problem]:
    """Return the mistakes in the project's own document, which ends where a collector begins."""
    marks = [each.document.mark for each in readers]
    end = min((mark.line for mark in marks if mark.file == str(project)), default=math.inf)
    return [
        each
        for each in problems
        if each.file == str(project) and each.line < end and not each.warning
    ]


def _project(file: Path | None, structurer: Structurer) -> tuple[Project, list[Node]]:
    """Return what a project file shares, and the documents that follow in it."""
    if file is None:
        return Project(), []
    before = len(structurer.problems)
    documents = _documents(file, structurer.problems)
    if not documents:
        if len(structurer.problems) == before:
            structurer.note(Problem("is empty", "write version: 1", file=str(file), line=1))
        return Project.unreadable(), []
    first, *rest = documents
    if is_collector(first) and not is_project(first):
        structurer.note(
            first.mark.problem(
                "a collector stands where the project belongs",
                "rename the file, or put a document with version: 1 before it",
            )
        )
        return Project.unreadable(), documents
    if isinstance(first, Keys):
        first = with_references(first, structurer.note)
    return read_project(first, structurer, COLLECTOR_KEYS), rest


def _documents(file: Path, problems: list[Problem]) -> list[Node]:
    try:
        text = file.read_bytes()
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", file=str(file)))
        return []
    return compose(text, str(file), file.absolute().parent, problems)


def _refuse_twins(readers: list[DocumentReader], structurer: Structurer) -> None:
    """Refuse a collector with the name or the id of an earlier one."""
    by_name: dict[str, DocumentReader] = {}
    by_id: dict[str, DocumentReader] = {}
    for each in readers:
        if each.name is None or each.id is None:
            continue
        other, key = by_name.setdefault(each.name, each), "name"
        if other is each:
            other, key = by_id.setdefault(each.id, each), "id"
        if other is each:
            continue
        mark, there = each.mark_of_identity(key), other.mark_of_identity(key)
        value = each.name if key == "name" else each.id
        structurer.note(
            mark.problem(
                f"{value!r} is the {key} of a collector in {there.file}:{there.line} already",
                "give each collector its own",
            )
        )
        each.collector = None


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Return each problem once, by place, without the secrets that are known by now."""
    masked = (
        evolve(each, message=mask(each.message), remedy=mask(each.remedy))
        for each in dict.fromkeys(problems)
    )
    return sorted(masked, key=lambda each: (each.file, each.line, each.path, each.message))
