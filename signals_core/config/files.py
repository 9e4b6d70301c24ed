"""Which files a project consists of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

from attrs import field, frozen

from signals_core.errors import Problem

PROJECT_FILE = "signals.yaml"
_ENDINGS = (".yaml", ".yml")


@frozen
class Found:
    """The project file, None without one, and the files to read, each once, in order."""

    project: Path | None
    files: list[Path]
    problems: list[Problem] = field(factory=list)


def find(paths: Sequence[Path], project: Path | None = None) -> Found:
    """Find the files of `paths` and the one project file they belong to.

    Without paths, the project found upward from the working directory is read. A directory is
    read recursively; names that begin with a dot are passed over, so that a mounted ConfigMap,
    whose files are links into `..data`, is read once.
    """
    if not paths:
        project = project or _upward(Path.cwd())
        if project is None:
            return Found(None, [], [_no_project()])
        paths = [_short(project.parent)]
    problems: list[Problem] = []
    if project is not None and not project.is_file():
        problems.append(Problem("there is no such project file", file=str(project)))
    nearest = {found for path in paths if (found := _upward(path.absolute()))}
    if project is None and len(nearest) > 1:
        names = " and ".join(sorted(str(_short(path)) for path in nearest))
        problems.append(Problem(f"two project files: {names}", "load them one at a time"))
    own = project or min(nearest, default=None)
    files: dict[Path, Path] = {}
    for path in paths:
        for file in _files_of(path, problems):
            files.setdefault(file.resolve(), file)
    for real, file in files.items():
        replaced = own is None or real == own.resolve() or file.absolute() in nearest
        if file.name == PROJECT_FILE and not replaced:
            problems.append(
                Problem(
                    f"a second {PROJECT_FILE} below {_short(own)}" if own else "",
                    "a project has one: merge the two, or load this folder on its own",
                    file=str(file),
                    line=1,
                )
            )
    return Found(_short(own) if own else None, list(files.values()), problems)


def _files_of(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if path.is_dir():
        yield from _walk(path, set())
    elif path.exists():
        yield path
    elif matches := sorted(glob(str(path))):
        for match in matches:
            yield from _files_of(Path(match), problems)
    else:
        problems.append(Problem("there is no such file or directory", file=str(path)))


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.name.endswith(_ENDINGS):
            yield entry


def _upward(start: Path) -> Path | None:
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate / PROJECT_FILE
    return None


def _short(path: Path) -> Path:
    """Return the path as a person at this place would write it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else Path(relative)


def _no_project() -> Problem:
    return Problem(
        f"there is no {PROJECT_FILE} here or in a folder above",
        "name a file or directory with -c PATH",
    )
