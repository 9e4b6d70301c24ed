"""The JSON Schema of the original project's spellings, so that no editor marks its files as wrong.

What they mean is the business of `dialect`.
"""

from __future__ import annotations

from typing import Any

from signals_core.config.dialect import (
    COLLECTOR_PARTS,
    COLLECTOR_TYPE,
    PREFIX,
    STRATEGIES,
    WINDOWED,
)
from signals_core.config.field_schema import Schema, or_null, ref

#: What source types may begin with.
PREFIXES = ("", PREFIX)

#: Tags as a list.
TAGS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"key": ref("text"), "value": or_null(ref("text"))},
        "required": ["key", "value"],
        "additionalProperties": False,
    },
}

_STRATEGY = or_null({"enum": [*STRATEGIES]})
_KIND, _INVOCATION = COLLECTOR_PARTS

_COLLECTOR: Schema = {
    "type": "object",
    "properties": {_KIND: or_null({"const": COLLECTOR_TYPE}), _INVOCATION: _STRATEGY},
    "additionalProperties": False,
}

#: The length of the windows, in the configuration of a source.
_TIME: Schema = {
    "type": "object",
    "properties": {"window": or_null(ref("grain"))},
    "required": ["window"],
}


def with_time(configurations: dict[str, Schema]) -> dict[str, Schema]:
    """Add the length of the windows to the configurations of sources that have no such field."""
    return {
        name: {**schema, "properties": {**schema["properties"], "time": _TIME}}
        if name.startswith("source:") and "time" not in schema["properties"]
        else schema
        for name, schema in configurations.items()
    }


def with_strategy(source: Schema) -> Schema:
    """Add the strategy to a collector's source."""
    return {**source, "properties": {**source["properties"], "strategy": _STRATEGY}}


def with_old_keys(collector: Schema, own_time: list[str]) -> Schema:
    """Add the old keys of a collector; `own_time` are the sources with a field `time` of theirs."""
    about = {"description": "A key of the original project, which still reads it."}
    old: dict[str, Any] = {"collector": {**about, **_COLLECTOR}, "state_store": about}
    timeless = {"properties": {"config": {"not": {"type": "object", "required": ["time"]}}}}
    is_windowed = [
        _has("collector", _has(_INVOCATION, {"enum": [*WINDOWED]})),
        _has("source", _has("strategy", {"enum": [*WINDOWED]})),
    ]
    may_have_time = [
        {"required": ["use"]},
        _has("type", ref("reference")),
        *(_has("type", {"const": name}) for name in own_time),
    ]
    only_where_windowed = {
        "if": {"anyOf": is_windowed},
        "else": {"properties": {"source": {"if": {"anyOf": may_have_time}, "else": timeless}}},
    }
    return {
        **collector,
        "properties": {**collector["properties"], **old},
        "allOf": [*collector.get("allOf", ()), only_where_windowed],
    }


def _has(key: str, schema: Schema) -> Schema:
    return {"required": [key], "properties": {key: schema}}
