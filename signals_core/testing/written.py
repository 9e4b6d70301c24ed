"""A plugin's configuration, written down as the YAML that an operator would write."""

from __future__ import annotations

import inspect
import json
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from signals_core import Collector, Runner, Schedule, Secret, Sink, Source


def configuration_of(instance: Any) -> dict[str, Any]:
    """Return the fields of an attrs instance, by key, as plain data."""
    if instance is None:
        return {}
    return {
        each.alias or each.name: _plain(getattr(instance, each.name))
        for each in attrs.fields(type(instance))
        if each.init
    }


def refusal_of_fields(instance: Any) -> str | None:
    """Return how the class refuses its own fields by name, None where it takes them."""
    keys = [each.alias or each.name for each in attrs.fields(type(instance)) if each.init]
    try:
        inspect.signature(type(instance)).bind(**dict.fromkeys(keys))
    except TypeError as error:
        return f"it has an __init__ of its own that does not take its fields: {error}"
    return None


def read_back(folder: Path, type: str, plugin: Any, query: Any, more: dict[str, Any]) -> Collector:
    """Write a collector with `plugin` into a file and load that; `more` joins its configuration.

    Raises `ConfigError` where the file has a mistake.
    """
    file = folder / "collector.yaml"
    file.write_text(json.dumps(_document(type, plugin, query, more), ensure_ascii=False), "utf-8")
    return Runner.load(file, state_dir=folder / "state").collectors[0]


def _document(type: str, plugin: Any, query: Any, more: dict[str, Any]) -> dict[str, Any]:
    part = {"type": type, "config": configuration_of(plugin) | configuration_of(query) | more}
    document: dict[str, Any] = {
        "name": "kit",
        "metric": {"name": "kit", "type": "COUNT"},
        "source": {"type": "sqlite", "config": {"path": "kit.db", "sql": "SELECT 1 AS value"}},
        "sinks": {"kit": {"type": "console"}},
        "schedule": {"interval": "1h"},
    }
    match plugin:
        case Source():
            document["source"] = part
            if plugin.parameters(query):
                del document["schedule"]
                document |= {"grain": "1d", "window": {"start": "2026-01-01"}}
        case Sink():
            document["sinks"] = {"kit": part}
        case Schedule():
            document["schedule"] = part
    return document


def differences(one: Any, other: Any) -> list[str]:
    """Return the keys in which two instances are configured differently; values are not shown."""
    if type(one) is not type(other):
        return [f"{type(other).__name__} in place of {type(one).__name__}"]
    if one is None:
        return []
    return [
        each.alias or each.name
        for each in attrs.fields(type(one))
        if each.init and not _same(getattr(one, each.name), getattr(other, each.name))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and not isinstance(other, (str, Secret)):
        return bool(json.loads(one) == other)  # a Json field takes its text as well
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, such that the field's type reads it back."""
    match value:
        case None | bool() | int() | float():
            return value
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {key: _plain(each) for key, each in value.items()}
    text = _text(value)
    return configuration_of(value) if text is None else text.replace("${", "$${")


def _text(value: Any) -> str | None:
    """Return what is written as text as an operator would, None for what is not."""
    match value:
        case Enum():
            return str(value.value)
        case str():
            return value
        case Secret():
            return value.reveal()
        case Decimal():
            return format(value, "f")
        case Path():
            return str(value.absolute())
        case datetime():
            return value.isoformat()
        case timedelta():
            return f"{Decimal(value // timedelta(microseconds=1)) / 1000:f}ms"
    return None


def secrets_in(value: Any) -> set[str]:
    """Return the texts of all secrets in a configuration."""
    match value:
        case Secret():
            return {value.reveal()}
        case list() | tuple():
            return set().union(*map(secrets_in, value))
        case dict():
            return secrets_in(list(value.values()))
    if attrs.has(type(value)):
        fields = [each.name for each in attrs.fields(type(value)) if each.init]
        return set().union(*(secrets_in(getattr(value, name)) for name in fields))
    return set()
