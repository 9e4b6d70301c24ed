"""Groups of commands: in the order in which they are met, with the nearest name for a typo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import ClassVar

import click


class Group(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its whole first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, self.commands[name].get_short_help_str(limit=200))
                    for name in self.commands
                ]
            )

    def typed(self, ctx: click.Context) -> Mapping[str, str]:
        """Return what is typed for each command that a person may mean, by its last word."""
        return {name: f"{ctx.command_path} {name}" for name in self.list_commands(ctx)}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names; else say which is meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            typed = self.typed(ctx)
            close = get_close_matches(name, typed, n=1)
            listed = f"there are: {', '.join(self.list_commands(ctx))}"
            remedy = f"did you mean `{typed[close[0]]}`?" if close else listed
            raise click.UsageError(f"there is no command {name!r} ({remedy})", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group whose commands are imported when they are used, so that `--help` is quick."""

    #: What is listed under each title: the name of a command, where it is, and what it does.
    sections: ClassVar[Mapping[str, Mapping[str, tuple[str, str]]]] = {}
    #: The commands of groups below, of which only the last word may be remembered.
    below: ClassVar[Sequence[str]] = ()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names without importing anything."""
        return [name for section in self.sections.values() for name in section]

    def typed(self, ctx: click.Context) -> Mapping[str, str]:
        """Return what is typed for each command, those of groups below included."""
        below = {each.rpartition(" ")[2]: f"{ctx.command_path} {each}" for each in self.below}
        return {**below, **super().typed(ctx)}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        for section in self.sections.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(import_module(module), attribute)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        width = max(map(len, self.list_commands(ctx)))
        for title, section in self.sections.items():
            with formatter.section(title):
                lines = [(name.ljust(width), text) for name, (_, text) in section.items()]
                formatter.write_dl(lines)
