"""`signals config`: validate, check, invoke, list and show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.choice import matching, name_problems, sound_collectors
from signals_core.cli.groups import Group
from signals_core.cli.options import complete_names, json_option
from signals_core.cli.output import Output
from signals_core.cli.schema import schema
from signals_core.cli.state import known_to, paused_in
from signals_core.cli.target import Target, paths_argument, project_options, state_options
from signals_core.phrases import counted

if TYPE_CHECKING:
    from signals_core.check import Check
    from signals_core.config import Loaded

_output = click.make_pass_decorator(Output)


@click.group(cls=Group)
def config() -> None:
    """Validate, check, invoke, list and show collectors; tell editors of them.

    \b
    Examples:
      signals config validate                every mistake, offline
      signals config check                   what only a connection can tell
      signals config invoke shop.orders.1d   one reading now, delivered
    """


@config.command()
@paths_argument
@click.option(
    "--strict",
    is_flag=True,
    help="Count a variable that is not set, or a file that is not there, as a mistake.",
)
@json_option
@project_options
@_output
def validate(
    output: Output,
    target: Target,
    *,
    as_json: bool,
    strict: bool,
) -> int:
    """Name every mistake of all files, without a network.

    PATH is a file, or a directory with all that is below it. Without one it is the project of the
    nearest signals.yaml, here or in a folder above.

    \b
    Examples:
      signals config validate
      signals config validate shop/ --strict
    """
    loaded = target.load()
    mistakes = [each for each in loaded.problems if strict or not each.warning]
    if as_json:
        output.json([_problem_as_json(each, strict=strict) for each in loaded.problems])
    for problem in () if as_json else loaded.problems:
        prefix = "warning: " if problem.warning and not strict else ""
        output.say(f"{prefix}{problem}")
    _name_passed_over(output, loaded)
    if mistakes:
        count = counted(len(loaded.collectors), "collector")
        output.say(f"{counted(len(mistakes), 'mistake')}; {count} without", fg="red")
        return 2
    count = counted(len(loaded.collectors) + len(loaded.waiting), "collector")
    output.say(f"{count}, no mistakes", fg="green")
    return 0


@config.command()
@paths_argument
@json_option
@project_options
@_output
def check(
    output: Output,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Connect, and check columns, rights and the sinks' credentials.

    It reads no data and writes none. A collector that has a mistake is named, and the others are
    checked.

    \b
    Example:
      signals config check shop/
    """
    from signals_core.cli.invoke import ended_by_signals
    from signals_core.runner import Runner

    output.listen_to_logs()
    loaded = target.load()
    if name_problems(output, loaded):
        return 2
    failed, results, warnings = 0, [], output.collect_warnings()
    with ended_by_signals(), Runner(sound_collectors(loaded)) as runner:
        for result in runner.check():
            failed += bool(result.mistakes)
            results.append(_check_as_json(result, warnings))
            for warning in warnings:
                output.say(f"{result.subject}: warning: {warning}", fg="yellow")
            warnings.clear()
            if not as_json:
                output.data(f"{result.subject}: {'; '.join(result.mistakes) or 'ok'}")
            output.trace(result.error)
    if as_json:
        output.json(results)
    return 2 if loaded.problems else 1 if failed else 0


@config.command()
@click.argument("name", required=False, shell_complete=complete_names)
@click.option(
    "--at",
    metavar="TIME",
    help="Read the window that holds this time, such as 2026-01-31 or 2026-01-31T06:00Z.  "
    "[default: the latest one that is due]",
)
@click.option("--dry-run", is_flag=True, help="Show the query and the metrics; deliver nothing.")
@project_options
@_output
def invoke(
    output: Output,
    name: str | None,
    target: Target,
    at: str | None,
    *,
    dry_run: bool,
) -> int:
    """Read once, now, and deliver.

    NAME is a collector, or a pattern such as 'shop.*'; it may be left out where there is only one.
    A windowed collector reads its latest due window. A snapshot collector reads the present; with
    --at, for which it needs a grain, its metrics are only printed. What is read is not kept, as it
    is by `signals run` and `signals backfill`.

    \b
    Examples:
      signals config invoke shop.orders.1d
      signals config invoke shop.orders.1d --at 2026-01-31 --dry-run
      signals config invoke 'shop.*'
    """
    from signals_core.cli.invoke import invoke_each
    from signals_core.runner import Runner

    output.listen_to_logs()
    loaded = target.load()
    if output.verbose:
        _name_passed_over(output, loaded)
    if name_problems(output, loaded):
        return 2
    names = matching(loaded, name)
    chosen = [each for each in sound_collectors(loaded) if each.name in names]
    sound_names = {each.name for each in chosen}
    left_out = [each for each in names if each not in sound_names]
    with Runner(chosen) as runner:
        code = invoke_each(output, runner, at, dry_run=dry_run)
    if not dry_run:
        folder = target.state_dir(loaded)
        for known in known_to(folder, chosen):
            output.say(
                f"{known}: {folder} knows this collector: what invoke sends is outside what is "
                "kept there (signals backfill reads a window again and keeps it)"
            )
    for each in left_out:
        output.say(f"{each}: not run: mend what is named above", fg="red")
    return 2 if left_out else code


@config.command("list")
@json_option
@state_options
@_output
def list_(output: Output, target: Target, *, as_json: bool) -> int:
    """List collectors: metrics, grain, schedule, source, sinks, owner, file.

    Where the state directory knows of a pause, it is listed until when too.

    \b
    Examples:
      signals config list
      signals config list --json -c shop/
    """
    from signals_core.cli.show import summary

    loaded = target.load()
    pauses = paused_in(target.state_dir(loaded), [each.collector for each in loaded.collectors])
    rows = [summary(each) | {"paused": pauses.get(each.collector.id)} for each in loaded.collectors]
    if as_json:
        output.json(rows)
    else:
        headers = ["NAME", "METRICS", "GRAIN", "SCHEDULE", "SOURCE", "SINKS", "OWNER", "FILE"]
        headers += ["PAUSED"] if pauses else []
        cells = ([_cell(value) for value in row.values()] for row in rows)
        output.table(headers, [row[: len(headers)] for row in cells])
    _name_passed_over(output, loaded)
    name_problems(output, loaded)
    return 2 if any(not problem.warning for problem in loaded.problems) else 0


@config.command()
@click.argument("name", required=False, shell_complete=complete_names)
@json_option
@project_options
@_output
def show(
    output: Output,
    name: str | None,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Show a collector merged with what its project shares.

    Secrets are masked; behind each value stand the file and the line that it comes from. NAME may
    be a pattern such as 'shop.*'.

    \b
    Example:
      signals config show shop.orders.1d
    """
    from signals_core.cli.show import as_lines, as_tree

    loaded = target.load()
    is_for_all = name_problems(output, loaded)
    names = matching(loaded, name)
    chosen = [each for each in loaded.collectors if each.collector.name in names]
    if as_json:
        output.json([as_tree(each.document) for each in chosen])
    elif chosen:
        output.data("\n---\n".join("\n".join(as_lines(each)) for each in chosen))
    return 2 if is_for_all or len(chosen) < len(names) else 0


config.add_command(schema)


def _name_passed_over(output: Output, loaded: Loaded) -> None:
    for place in loaded.passed_over:
        output.say(f"{place}: passed over: neither source nor metric, so no collector")


def _problem_as_json(problem: Any, *, strict: bool) -> dict[str, Any]:
    from attrs import asdict

    from signals_core.secret import mask

    fields = asdict(problem)
    fields["warning"] = problem.warning and not strict
    return {key: mask(value) if isinstance(value, str) else value for key, value in fields.items()}


def _check_as_json(result: Check, warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "subject": result.subject,
        "mistakes": list(result.mistakes),
        "warnings": list(warnings),
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
