"""`signals completion`: the shell's own completion script."""

from __future__ import annotations

import click

_SHELLS = ("bash", "fish", "zsh")


@click.command()
@click.argument("shell", metavar="{bash|zsh|fish}", required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      signals completion bash > ~/.local/share/bash-completion/completions/signals
      signals completion zsh > ~/.zfunc/_signals
      signals completion fish > ~/.config/fish/completions/signals.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell) if shell in _SHELLS else None
    if found is None:
        wrong = "name a shell" if shell is None else f"{shell!r} is no shell known here"
        raise click.UsageError(f"{wrong}: {', '.join(_SHELLS)}")
    root = ctx.find_root().command
    click.echo(found(root, {}, "signals", "_SIGNALS_COMPLETE").source())
