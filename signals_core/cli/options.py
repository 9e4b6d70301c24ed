"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


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
        help="Say more; -vv shows tracebacks too, secrets masked.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def complete_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of collectors for shell completion."""
    from signals_core.config import load

    loaded = load(list(ctx.params.get("configs") or ()), project=ctx.params.get("project"))
    names = (each.collector.name for each in loaded.collectors)
    return [name for name in names if name.startswith(incomplete)]
