"""What a command works on: which collectors, and which state directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from attrs import frozen

from signals_core.cli.options import F, verbose_option

if TYPE_CHECKING:
    from signals_core.config import Loaded

_FOLDER = ".signals"
_VARIABLE = "SIGNALS_STATE_DIR"

_PATH = click.Path(path_type=Path)
_config = click.option(
    "-c",
    "--config",
    "configs",
    type=_PATH,
    multiple=True,
    metavar="PATH",
    help="A file or directory to load; may be repeated.  [default: the project found upward "
    "from here]",
)
_project = click.option(
    "--project",
    type=_PATH,
    metavar="FILE",
    help="The project file.  [default: the nearest signals.yaml]",
)
_state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"Where what must not be lost is kept.  [default: ${_VARIABLE}, else {_FOLDER} beside "
    "signals.yaml, else in the folder of the first path]",
)
#: Paths as arguments, which are another way to say `-c`.
paths_argument = click.argument("paths", nargs=-1, type=_PATH, metavar="[PATH]...")


@frozen
class Target:
    """What the options name: files to load, a project file, a state directory."""

    paths: Sequence[Path] = ()
    project: Path | None = None
    named_state_dir: Path | None = None

    def load(self) -> Loaded:
        """Read the collectors. What is wrong with them is among what is returned."""
        from signals_core.config import load

        return load(self.paths, project=self.project)

    def state_dir(self, loaded: Loaded | None) -> Path:
        """Return the state directory: as named, else beside the project, else by the first path."""
        if (named := self._named()) is not None:
            return named
        if loaded is not None and loaded.project_file is not None:
            return loaded.project_file.parent / _FOLDER
        first = self.paths[0] if self.paths else Path()
        return (first if first.is_dir() else first.parent) / _FOLDER

    def found(self) -> tuple[Path, Loaded | None]:
        """Return the state directory, and the project that leads to it when there is one.

        Raises `UsageError` when nothing leads to a state directory.
        """
        loaded = self.load()
        is_project = loaded.project_file is not None or bool(self.paths)
        if self._named() is None and not is_project:
            raise click.UsageError(
                "there is no signals.yaml here or in a folder above (go to the project's folder, "
                "name it with -c, or name the state directory with --state-dir)"
            )
        return self.state_dir(loaded), loaded if is_project else None

    def _named(self) -> Path | None:
        named = os.environ.get(_VARIABLE)
        return self.named_state_dir or (Path(named) if named else None)


def project_options(command: F) -> F:
    """Add `-c`, `--project` and `-v`; the command is handed a `target`."""
    return _config(_project(verbose_option(_with_target(command))))


def state_options(command: F) -> F:
    """Add `-c`, `--project`, `--state-dir` and `-v`; the command is handed a `target`."""
    return _config(_project(_state_dir(verbose_option(_with_target(command)))))


def _with_target(command: F) -> F:
    @wraps(command)
    def called(
        *arguments: Any,
        configs: Sequence[Path],
        project: Path | None,
        paths: Sequence[Path] = (),
        state_dir: Path | None = None,
        **options: Any,
    ) -> Any:
        target = Target((*paths, *configs), project, state_dir)
        return command(*arguments, target=target, **options)

    return cast("F", called)
