"""`signals config schema`."""

from __future__ import annotations

import click

from signals_core.cli.output import Output
from signals_core.cli.target import Target, project_options


@click.command()
@project_options
@click.make_pass_decorator(Output)
def schema(output: Output, target: Target) -> int:
    """Print the JSON Schema of collectors and signals.yaml, with what is installed.

    An editor completes and checks by it; the page "Have your editor complete and check" of the
    documentation says how to tell it so. The types of the project's own plugin files are in it
    too. What is broken is left out and named.

    \b
    Example:
      signals config schema > signals.schema.json
    """
    from signals_core.config import registry_of
    from signals_core.config.schema import schema_of

    registry = registry_of(target.paths, project=target.project)
    registry.check_all()
    for each in registry.broken:
        output.say(f"left out: {each.name} of {each.provider}: {each.reason} ({each.remedy})")
        output.trace(each.error)
    output.json(schema_of(registry))
    return 0
