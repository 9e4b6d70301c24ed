"""`signals plugins`: the types that are installed, and what is broken."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import json_option
from signals_core.cli.output import Output

if TYPE_CHECKING:
    from signals_core.registry import PluginType, Registry


@click.command()
@click.argument("type", required=False)
@json_option
@click.make_pass_decorator(Output)
def plugins(output: Output, type: str | None, *, as_json: bool) -> int:
    """Show the types that are installed, who provides them, and what is broken.

    With TYPE: its fields, and a collector to paste.

    \b
    Examples:
      signals plugins
      signals plugins postgres
    """
    from signals_core.registry import Registry

    registry = Registry.discover()
    registry.check_all()
    if type is None:
        _list(output, registry, as_json=as_json)
        return 0
    found = [entry for (_, name), entry in registry.types.items() if name == type]
    if not found:
        names = ", ".join(sorted({name for _, name in registry.types}))
        raise click.UsageError(f"there is no type {type!r}; there are: {names}")
    for entry in found:
        output.data("\n".join(_described(entry)))
    return 0


def _list(output: Output, registry: Registry, *, as_json: bool) -> None:
    from attrs import asdict

    types = [
        {"type": entry.name, "kind": entry.kind, "provider": entry.provider}
        for entry in sorted(registry.types.values(), key=lambda each: (each.kind, each.name))
    ]
    broken = [asdict(each) for each in registry.broken]
    if as_json:
        output.json({"types": types, "broken": broken})
        return
    output.table(["TYPE", "KIND", "PROVIDER"], [list(each.values()) for each in types])
    for each in registry.broken:
        output.data(f"broken: {each.name} of {each.provider}: {each.reason} ({each.remedy})")


def _described(entry: PluginType) -> Iterator[str]:
    from signals_core.fields import fields_of

    cls = entry.load()
    yield f"{entry.name}: a {entry.kind} of {entry.provider}"
    yield from _paragraph(cls)
    yield from _fields("fields", fields_of(cls))
    query: Any = getattr(cls, "Query", None)
    if query is not None:
        yield from _fields("fields of the query", fields_of(query))
    yield "\nto paste:\n"
    yield from _example(
        entry, [*fields_of(cls).values(), *(fields_of(query).values() if query else ())]
    )


def _paragraph(cls: Any) -> Iterator[str]:
    text = inspect.getdoc(cls) or ""
    if text:
        yield "\n" + text + "\n"


def _fields(title: str, fields: dict[str, Any]) -> Iterator[str]:
    from datetime import timedelta

    from signals_core.duration import format_duration
    from signals_core.fields import type_name

    yield f"{title}:" if fields else f"{title}: none"
    width = max((len(key) for key in fields), default=0)
    for key, field in sorted(fields.items(), key=lambda item: not item[1].required):
        default = field.default
        shown = format_duration(default) if isinstance(default, timedelta) else default
        about = "required" if field.required else f"default {shown}"
        yield f"  {key:{width}}  {type_name(field.type)}, {about}"


def _example(entry: PluginType, fields: list[Any]) -> Iterator[str]:
    required = [f"{field.key}: …" for field in fields if field.required]
    config = [f"    {line}" for line in required]
    if entry.kind == "source":
        yield "name: my.first.collector"
        yield "metric: {name: my.first.metric, type: COUNT}"
        yield "schedule: {interval: 1m}"
        yield f"source:\n  type: {entry.name}"
        yield from ["  config:", *config] if config else []
        yield "sinks:\n  console: {type: console}"
    elif entry.kind == "sink":
        yield f"sinks:\n  my-sink:\n    type: {entry.name}"
        yield from ["    config:", *(f"  {line}" for line in config)] if config else []
    else:
        yield f"schedule:\n  type: {entry.name}"
        yield from ["  config:", *config] if config else []
