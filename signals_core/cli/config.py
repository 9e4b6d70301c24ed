"""`signals config`: validate, check, invoke, list and show."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import complete_names, json_option, paths_argument, project_options
from signals_core.cli.output import Output

if TYPE_CHECKING:
    from signals_core.config import Loaded
    from signals_core.runner import Runner

_output = click.make_pass_decorator(Output)


@click.group()
def config() -> None:
    """Validate, check, invoke, list and show collectors."""


@config.command()
@paths_argument
@project_options
@json_option
@click.option("--strict", is_flag=True, help="Count references that lead nowhere as mistakes.")
@_output
def validate(
    output: Output,
    paths: tuple[Path, ...],
    configs: tuple[Path, ...],
    project: Path | None,
    *,
    as_json: bool,
    strict: bool,
) -> int:
    """Name every mistake of all files at once, without touching a network.

    \b
    Examples:
      signals config validate               the project here
      signals config validate shop/ --strict
    """
    loaded = _load((*paths, *configs), project)
    mistakes = [each for each in loaded.problems if strict or not each.warning]
    if as_json:
        output.json([_problem_as_json(each, strict=strict) for each in loaded.problems])
    for problem in () if as_json else loaded.problems:
        prefix = "warning: " if problem.warning and not strict else ""
        output.say(f"{prefix}{problem}")
    _name_passed_over(output, loaded)
    count = _count(len(loaded.collectors), "collector")
    verdict = _count(len(mistakes), "mistake") if mistakes else "no mistakes"
    if mistakes:
        output.say(f"{verdict}; {count} without", fg="red")
        return 2
    output.say(f"{count}, {verdict}", fg="green")
    return 0


@config.command()
@paths_argument
@project_options
@json_option
@_output
def check(
    output: Output,
    paths: tuple[Path, ...],
    configs: tuple[Path, ...],
    project: Path | None,
    *,
    as_json: bool,
) -> int:
    """Connect, and check columns, rights and the sinks' credentials. Reads no data.

    \b
    Example:
      signals config check shop/
    """
    output.listen_to_logs()
    failed, results = 0, []
    with _runner((*paths, *configs), project) as runner:
        for result in runner.check():
            failed += bool(result.mistakes)
            results.append({"subject": result.subject, "mistakes": list(result.mistakes)})
            if not as_json:
                output.data(f"{result.subject}: {'; '.join(result.mistakes) or 'ok'}")
            output.trace(result.error)
    if as_json:
        output.json(results)
    return 1 if failed else 0


@config.command()
@click.argument("name", required=False, shell_complete=complete_names)
@project_options
@click.option("--at", metavar="TIME", help="Pick the window, or the bucket, that holds this time.")
@click.option("--dry-run", is_flag=True, help="Show the query and the metrics; deliver nothing.")
@_output
def invoke(
    output: Output,
    name: str | None,
    configs: tuple[Path, ...],
    project: Path | None,
    at: str | None,
    *,
    dry_run: bool,
) -> int:
    """Read once, now, and deliver. NAME may be a glob.

    A windowed collector reads its latest due window. For a snapshot collector --at only prints,
    since what is read is the present.

    \b
    Examples:
      signals config invoke shop.orders.1d
      signals config invoke shop.orders.1d --at 2026-01-31 --dry-run
      signals config invoke 'shop.*'
    """
    from signals_core.cli.invoke import invoke_each

    output.listen_to_logs()
    loaded = _load(configs, project)
    _name_passed_over(output, loaded)
    with _runner_of(loaded) as runner:
        names = _matching(loaded, name)
        return invoke_each(output, runner, names, at, dry_run=dry_run)


@config.command("list")
@project_options
@json_option
@_output
def list_(output: Output, configs: tuple[Path, ...], project: Path | None, *, as_json: bool) -> int:
    """List the collectors there are.

    \b
    Example:
      signals config list --json
    """
    from signals_core.cli.show import summary

    loaded = _load(configs, project)
    rows = [summary(each) for each in loaded.collectors]
    if as_json:
        output.json(rows)
    else:
        headers = ["NAME", "METRICS", "GRAIN", "SCHEDULE", "SOURCE", "SINKS", "OWNER", "FILE"]
        output.table(headers, [[_cell(value) for value in row.values()] for row in rows])
    _name_passed_over(output, loaded)
    return _say_problems(output, loaded)


@config.command()
@click.argument("name", required=False, shell_complete=complete_names)
@project_options
@json_option
@_output
def show(
    output: Output,
    name: str | None,
    configs: tuple[Path, ...],
    project: Path | None,
    *,
    as_json: bool,
) -> int:
    """Show a collector merged with what its project shares, masked, with where each value is from.

    \b
    Example:
      signals config show shop.orders.1d
    """
    from signals_core.cli.show import as_lines, as_tree

    loaded = _load(configs, project)
    names = _matching(loaded, name)
    chosen = [each for each in loaded.collectors if each.collector.name in names]
    if as_json:
        output.json([as_tree(each.document) for each in chosen])
    else:
        output.data("\n---\n".join("\n".join(as_lines(each)) for each in chosen))
    return _say_problems(output, loaded)


def _load(paths: Sequence[Path], project: Path | None) -> Loaded:
    from signals_core.config import load

    return load(paths, project=project)


def _runner(paths: Sequence[Path], project: Path | None) -> Runner:
    return _runner_of(_load(paths, project))


def _runner_of(loaded: Loaded) -> Runner:
    from signals_core.runner import Runner

    return Runner.of(loaded)


def _matching(loaded: Loaded, pattern: str | None) -> list[str]:
    """Return the names a pattern picks; without one there must be a single collector."""
    names = [each.collector.name for each in loaded.collectors]
    listed = "".join(f"\n  {name}" for name in names)
    if pattern is None:
        if len(names) != 1:
            raise click.UsageError(f"name one of the {len(names)} collectors:{listed}")
        return names
    chosen = [name for name in names if name == pattern] or [
        name for name in names if fnmatchcase(name, pattern)
    ]
    if not chosen:
        raise click.UsageError(f"there is no collector {pattern!r}; there are:{listed}")
    return chosen


def _say_problems(output: Output, loaded: Loaded) -> int:
    for problem in loaded.problems:
        output.say(str(problem))
    return 2 if any(not problem.warning for problem in loaded.problems) else 0


def _name_passed_over(output: Output, loaded: Loaded) -> None:
    for place in loaded.passed_over:
        output.say(f"{place}: passed over: neither source nor metric, so no collector")


def _problem_as_json(problem: Any, *, strict: bool) -> dict[str, Any]:
    from attrs import asdict

    from signals_core.secret import mask

    fields = asdict(problem)
    fields["warning"] = problem.warning and not strict
    return {key: mask(value) if isinstance(value, str) else value for key, value in fields.items()}


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
