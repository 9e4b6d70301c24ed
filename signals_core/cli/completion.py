"""`signals completion`: the shell's own completion script."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      signals completion bash > ~/.local/share/bash-completion/completions/signals
      signals completion zsh > ~/.zfunc/_signals
      signals completion fish > ~/.config/fish/completions/signals.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    click.echo(found(root, {}, "signals", "_SIGNALS_COMPLETE").source())
