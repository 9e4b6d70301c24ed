"""Which state directory a command works on, and who has it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from signals_core.cli.options import F

if TYPE_CHECKING:
    from signals_core.collector import Collector
    from signals_core.config import Loaded

_FOLDER = ".signals"
_VARIABLE = "SIGNALS_STATE_DIR"


def state_option(command: F) -> F:
    """Add `--state-dir`."""
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar=_VARIABLE,
        metavar="DIR",
        help="Where what must not be lost is kept. [default: .signals beside signals.yaml, "
        "else in the folder of the first path]",
    )(command)


def state_dir_of(given: Path | None, paths: Sequence[Path], project_file: Path | None) -> Path:
    """Return the state directory: as given, else beside the project, else by the first path."""
    given = given or (Path(named) if (named := os.environ.get(_VARIABLE)) else None)
    if given is not None:
        return given
    if project_file is not None:
        return project_file.parent / _FOLDER
    first = paths[0] if paths else Path()
    return (first if first.is_dir() else first.parent) / _FOLDER


def found_state_dir(
    given: Path | None, configs: Sequence[Path], project: Path | None
) -> tuple[Path, Loaded | None]:
    """Return the state directory, and the project that leads to it when there is one.

    With `--state-dir` alone a project is not needed.
    """
    from signals_core.config import load

    loaded = load(list(configs), project=project)
    is_project = loaded.project_file is not None or bool(configs)
    if given is None and not is_project:
        raise click.UsageError("name the state directory with --state-dir, or a project with -c")
    folder = state_dir_of(given, configs, loaded.project_file)
    return folder, loaded if is_project else None


def known_to(folder: Path, collectors: Sequence[Collector]) -> list[str]:
    """Return the names of the collectors of which a state directory keeps readings."""
    from signals_core.store import Store, StoreError

    if not folder.is_dir():
        return []
    try:
        with Store.look(folder) as store:
            return [each.name for each in collectors if store.last_version(each.id)]
    except StoreError:
        return []


def left_out(loaded: Loaded) -> list[str]:
    """Return the names of the collectors that have a mistake, or lack a variable."""
    waiting = [each.collector.name for each in loaded.collectors if each.unresolved]
    return list(dict.fromkeys((*loaded.unsound, *waiting)))


def holder_of(folder: Path) -> str | None:
    """Return which process has the state directory; None when none has."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 200, 0).decode(errors="replace") or "another process"
    except OSError:
        return None
    finally:
        os.close(file)
    return None
