"""The way in: the command groups, loaded when they are used, and the exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from signals_core.cli.output import Output

_COMMANDS = {
    "config": (
        "signals_core.cli.config:config",
        "Validate, check, invoke, list and show collectors.",
    ),
    "run": (
        "signals_core.cli.run:run",
        "Run collectors as they fall due and deliver, until told to stop.",
    ),
    "backfill": (
        "signals_core.cli.backfill:backfill",
        "Read past windows, oldest first, and deliver what changed.",
    ),
    "status": ("signals_core.cli.status:status", "Show what is late and why."),
    "history": ("signals_core.cli.status:history", "Show what happened to a collector."),
    "explain": ("signals_core.cli.status:explain", "Tell where a number comes from."),
    "outbox": (
        "signals_core.cli.outbox:outbox",
        "List what sinks have not taken; retry dead letters; drop what an orphan holds.",
    ),
    "plugins": (
        "signals_core.cli.plugins:plugins",
        "Show what types are installed; of a type its fields and a collector to paste.",
    ),
    "completion": (
        "signals_core.cli.completion:completion",
        "Print the completion script of a shell.",
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="signals-core", prog_name="signals")
def signals() -> None:
    """Business numbers out of operational databases, without copying the data out.

    A collector (one YAML document) names a query, the metrics made of it, a schedule and sinks.
    signals runs the query at the source and delivers the few numbers that matter.

    \b
    Examples:
      signals config validate             all mistakes of the project here, offline
      signals config invoke shop.orders   one reading now, delivered to its sinks
      signals plugins postgres            the fields of a type, and a collector to paste

    \b
    Exit codes:
      0 done    1 a source or sink failed    2 configuration or usage
      3 state directory locked or unusable   130 interrupted
    """


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
