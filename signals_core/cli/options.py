"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """A duration such as `30s`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the duration."""
        from signals_core.duration import parse_duration

        try:
            return parse_duration(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = _Duration()


def _count_verbose(ctx: click.Context, _: click.Parameter, count: int) -> None:
    ctx.find_root().obj.verbose = count


def verbose_option(command: F) -> F:
    """Add `-v`: how much is said."""
    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_count_verbose,
        help="Say more; -vv also shows tracebacks, masked.",
    )(command)


def project_options(command: F) -> F:
    """Add `-c`, `--project` and `-v`: what is loaded and how much is said."""
    command = click.option(
        "--project",
        type=_PATH,
        metavar="FILE",
        help="The project file, instead of the nearest signals.yaml.",
    )(verbose_option(command))
    return click.option(
        "-c",
        "--config",
        "configs",
        type=_PATH,
        multiple=True,
        metavar="PATH",
        help="A file or directory to load; may be repeated. "
        "[default: the project found upward from here]",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def paths_argument(command: F) -> F:
    """Add paths as arguments, the same as `-c`."""
    return click.argument("paths", nargs=-1, type=_PATH, metavar="[PATH]...")(command)


def complete_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of collectors for shell completion."""
    from signals_core.config import load

    loaded = load(list(ctx.params.get("configs") or ()), project=ctx.params.get("project"))
    names = (each.collector.name for each in loaded.collectors)
    return [name for name in names if name.startswith(incomplete)]
