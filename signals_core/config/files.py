"""Which files a project consists of."""

# On loops of links and in folders one may not enter, pathlib raises where os.path has an answer:
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH208

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import field, frozen

from signals_core.errors import Problem

PROJECT_FILE = "signals.yaml"
_ENDINGS = (".yaml", ".yml")


@frozen
class Found:
    """The project file, None without one, and the other files to read, each once, in order.

    `whole` tells whether the project file itself is among what was asked for: what else it holds
    is read too then.
    """

    project: Path | None
    files: list[Path]
    whole: bool = False
    problems: list[Problem] = field(factory=list)


def find(paths: Sequence[Path], project: Path | None = None) -> Found:
    """Find the files of `paths` and the one project file they belong to.

    Without paths, the project found upward from the working directory is read. A directory is
    read recursively; names that begin with a dot are passed over, so that a mounted ConfigMap,
    whose files are links into `..data`, is read once.
    """
    if not paths:
        project = project or _upward(Path())
        if project is None:
            return Found(None, [], problems=[_no_project()])
        paths = [short(project.parent)]
    problems: list[Problem] = []
    upward: dict[str, Path] = {}
    for path in paths:
        if nearest := _upward(path):
            upward.setdefault(_real(nearest), nearest)
    if project is None and len(upward) > 1:
        names = " and ".join(sorted(str(short(path)) for path in upward.values()))
        problems.append(Problem(f"two project files: {names}", "load them one at a time"))
    own = project or next(iter(upward.values()), None)
    files: dict[str, Path] = {}
    for path in paths:
        for file in _files_of(path, problems):
            files.setdefault(_real(file), file)
    whole = own is not None and files.pop(_real(own), None) is not None
    for real, file in list(files.items()):
        if file.name == PROJECT_FILE and real not in upward:
            problems.append(_deeper(file, own))
            del files[real]
    return Found(short(own) if own else None, list(files.values()), whole, problems)


def _files_of(path: Path, problems: list[Problem]) -> Iterator[Path]:
    if os.path.isdir(path):
        yield from _walk(path, problems)
    elif os.path.exists(path):
        yield path
    else:
        problems.append(Problem("there is no such file or directory", file=str(path)))


def _walk(top: Path, problems: list[Problem]) -> Iterator[Path]:
    seen: set[str] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if (real := _real(folder)) in seen:
            continue
        seen.add(real)
        try:
            names = sorted(os.listdir(folder), reverse=True)
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror}", file=str(folder)))
            continue
        entries = [folder / name for name in names if not name.startswith(".")]
        waiting += [entry for entry in entries if os.path.isdir(entry)]
        yield from (file for file in reversed(entries) if _is_yaml(file))


def _is_yaml(path: Path) -> bool:
    """Whether to read what was found: also a link that leads nowhere, which is a mistake."""
    return path.name.endswith(_ENDINGS) and (os.path.isfile(path) or not os.path.exists(path))


def _upward(path: Path) -> Path | None:
    start = Path(os.path.abspath(path))
    for folder in (start, *start.parents):
        if os.path.isfile(folder / PROJECT_FILE):
            return folder / PROJECT_FILE
    return None


def _real(path: Path) -> str:
    """Return what tells a file from others, whatever links lead to it, themselves included."""
    return os.path.realpath(path)


def short(path: Path) -> Path:
    """Return the path as a person at this place would write it."""
    relative = Path(os.path.relpath(path))
    return path if ".." in relative.parts else relative


def _no_project() -> Problem:
    return Problem(
        f"there is no {PROJECT_FILE} here or in a folder above",
        "go to the project's folder, name it with -c PATH, or make one: signals init",
    )


def _deeper(file: Path, own: Path | None) -> Problem:
    if own is None:
        what = f"a {PROJECT_FILE} below what is loaded"
        remedy = "load its folder, or move it up"
    else:
        what = f"a second {PROJECT_FILE}: the project's is {short(own)}"
        remedy = "a project has one: merge the two, or load this folder on its own"
    return Problem(what, remedy, file=str(file), line=1)
