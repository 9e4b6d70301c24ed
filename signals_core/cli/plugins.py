"""`signals plugins`: the types that are installed, and what is broken."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import json_option
from signals_core.cli.output import Output
from signals_core.cli.target import Target, project_options

if TYPE_CHECKING:
    from signals_core.registry import PluginType, Registry


@click.command()
@click.argument("type", required=False)
@project_options
@json_option
@click.make_pass_decorator(Output)
def plugins(output: Output, target: Target, type: str | None, *, as_json: bool) -> int:
    """Show the types that are there, who provides them, and what is broken.

    They are those that are installed, and those of the project's own files. With TYPE: its fields,
    and a collector to paste. -vv shows where a broken plugin failed.

    \b
    Examples:
      signals plugins
      signals plugins postgres
    """
    from signals_core.config import registry_of

    registry = registry_of(target.paths, project=target.project)
    registry.check_all()
    if type is None:
        _list(output, registry, as_json=as_json)
        return 0
    found = [entry for (_, name), entry in registry.types.items() if name == type]
    if not found:
        names = sorted({name for _, name in registry.types})
        close = get_close_matches(type, names, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise click.UsageError(f"there is no type {type!r}{meant}; there are: {', '.join(names)}")
    if as_json:
        output.json([_as_json(entry) for entry in found])
        return 0
    for entry in found:
        output.data("\n".join(_described(entry)))
    return 0


def _list(output: Output, registry: Registry, *, as_json: bool) -> None:
    from attrs import asdict, fields, filters

    from signals_core.registry import BrokenPlugin

    types = [
        {"type": entry.name, "kind": entry.kind, "provider": entry.provider}
        for entry in sorted(registry.types.values(), key=lambda each: (each.kind, each.name))
    ]
    if as_json:
        told = filters.exclude(fields(BrokenPlugin).error)
        broken = [asdict(each, filter=told) for each in registry.broken]
        output.json({"types": types, "broken": broken})
    else:
        output.table(["TYPE", "KIND", "PROVIDER"], [list(each.values()) for each in types])
        for each in registry.broken:
            output.data(f"broken: {each.name} of {each.where}: {each.reason} ({each.remedy})")
    for each in registry.broken:
        output.trace(each.error)


def _described(entry: PluginType) -> Iterator[str]:
    from signals_core.fields import fields_of

    cls = entry.load()
    yield f"{entry.name}: a {entry.kind} of {entry.provider}"
    yield from _paragraph(cls)
    yield from _fields("fields", cls)
    query: Any = getattr(cls, "Query", None)
    if query is not None:
        yield from _fields("fields of the query", query)
    yield "\nto paste:\n"
    yield from _example(
        entry, [*fields_of(cls).values(), *(fields_of(query).values() if query else ())]
    )


def _as_json(entry: PluginType) -> dict[str, Any]:
    cls = entry.load()
    query: Any = getattr(cls, "Query", None)
    return {
        "type": entry.name,
        "kind": entry.kind,
        "provider": entry.provider,
        "description": inspect.getdoc(cls) or "",
        "fields": _fields_as_json(cls),
        "query": _fields_as_json(query) if query is not None else [],
    }


def _fields_as_json(cls: Any) -> list[dict[str, Any]]:
    from signals_core.fields import docs_of, fields_of, type_name

    docs = docs_of(cls)
    return [
        {
            "name": key,
            "type": type_name(field.type),
            "required": field.required,
            "default": _default(field.default),
            "description": docs.get(key, ""),
        }
        for key, field in fields_of(cls).items()
    ]


def _paragraph(cls: Any) -> Iterator[str]:
    text = inspect.getdoc(cls) or ""
    if text:
        yield "\n" + text + "\n"


def _fields(title: str, cls: Any) -> Iterator[str]:
    from signals_core.fields import docs_of, fields_of, in_words

    fields, docs = fields_of(cls), docs_of(cls)
    yield f"{title}:" if fields else f"{title}: none"
    width = max((len(key) for key in fields), default=0)
    for key, field in sorted(fields.items(), key=lambda item: not item[1].required):
        default = _default(field.default)
        about = "required" if field.required else f"default {_in_yaml(default)}"
        yield f"  {key:{width}}  {in_words(field.type)}, {about}"
        for line in docs.get(key, "").splitlines():
            yield f"  {'':{width}}    {line}".rstrip()


def _in_yaml(default: Any) -> str:
    if default is None:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _default(value: Any) -> Any:
    """Return a default as JSON can hold it: a duration as it is written."""
    from datetime import timedelta
    from enum import Enum

    from signals_core.duration import format_duration

    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    return value if value is None or isinstance(value, (int, float, list, dict)) else str(value)


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
