"""The way in: the command groups, loaded when they are used, and the exit codes."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

import click

from signals_core.cli.groups import LazyGroup
from signals_core.cli.output import Output

_ORIENTATION = """\
signals: business numbers out of operational databases, without copying the data
out.

A collector is one YAML file: a query, the metrics made of its rows, when to
read, and the sinks that get them. signals has the database do the counting, and
takes the result.

  signals init shop            make a first project that runs as it is
  signals config validate      name every mistake of the project here
  signals config invoke NAME   read one collector, once, now
  signals run                  read each as it falls due, and deliver
  signals status               show what is late, and why

signals --help lists all commands; each has a --help of its own, with examples.
"""


class Signals(LazyGroup):
    """The command `signals`."""

    sections: ClassVar = {
        "Begin": {
            "init": ("signals_core.cli.init:init", "Make a first project that runs as it is."),
            "config": (
                "signals_core.cli.config:config",
                "Validate, check, invoke (read once), list and show collectors.",
            ),
        },
        "Read and deliver": {
            "run": ("signals_core.cli.run:run", "Read collectors as they fall due, and deliver."),
            "backfill": ("signals_core.cli.backfill:backfill", "Read past windows, and deliver."),
            "pause": ("signals_core.cli.pause:pause", "Leave collectors or a source unread."),
            "resume": ("signals_core.cli.pause:resume", "Go on, and make windows up."),
        },
        "See what happens": {
            "status": ("signals_core.cli.status:status", "Show what is late, and why."),
            "history": ("signals_core.cli.history:history", "Show the last runs of a collector."),
            "explain": ("signals_core.cli.explain:explain", "Tell where a number comes from."),
            "outbox": (
                "signals_core.cli.outbox:outbox",
                "List what sinks have not taken; try it again, or drop it.",
            ),
        },
        "And": {
            "plugins": (
                "signals_core.cli.plugins:plugins",
                "List the types of sources, sinks and schedules.",
            ),
            "plugin": ("signals_core.cli.plugin:plugin", "Make a plugin of your own."),
            "completion": (
                "signals_core.cli.completion:completion",
                "Print the completion script of a shell.",
            ),
        },
    }
    below = (
        "config validate",
        "config check",
        "config invoke",
        "config list",
        "config show",
        "config schema",
        "outbox retry",
        "outbox drop",
        "plugin new",
        "plugin new",
    )


@click.group(
    cls=Signals,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="signals-core", prog_name="signals")
@click.pass_context
def signals(ctx: click.Context) -> None:
    """Business numbers out of operational databases, without copying the data out.

    A collector is one YAML file: a query, the metrics made of its rows, when to read, and the
    sinks that get them. signals has the database do the counting, and takes the result.

    \b
    Examples:
      signals init shop                     a first project
      signals config validate               all mistakes of the project here
      signals config invoke shop.orders.1d  one reading now, delivered
      signals plugins postgres              the fields of a type, and a collector

    \b
    Exit codes:
      0 done    1 a source or sink failed    2 configuration or usage
      3 state directory locked or unusable   130 interrupted
    """
    if ctx.invoked_subcommand is None:
        click.echo(_ORIENTATION, nl=False)
        return
    from signals_core.cli.strays import listen_to_strays

    listen_to_strays()


def main() -> None:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:])
    _let_go_of_standard_output()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    output = Output()
    try:
        code = signals.main(arguments, prog_name="signals", standalone_mode=False, obj=output)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        output.say("interrupted")
        return 130
    except BrokenPipeError:
        output.say("standard output: the reader went away")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it was, no traceback unless asked for
        return output.report(error)
    return code if isinstance(code, int) else 0


def _let_go_of_standard_output() -> None:
    """Keep the interpreter from complaining, as it exits, of an output that takes no more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
