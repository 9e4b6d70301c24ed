"""The JSON Schema of what is installed, for editors: of collectors and of `signals.yaml`.

It is draft-07, which every version of the YAML language server checks by; the older ones know
nothing of 2020-12, and we need nothing that it adds. One schema tells the two forms apart, since a
file may hold both: a document with a key that only a project has is one.

What a schema cannot know, `signals config validate` does: what another document says, what a
plugin's own code refuses, which letters YAML read as a number.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from attrs import fields

from signals_core.collector import Collector, MetricDefinition, WindowPolicy
from signals_core.config import patterns
from signals_core.config.dialect_schema import (
    PREFIXES,
    TAGS,
    with_old_keys,
    with_strategy,
    with_time,
)
from signals_core.config.document import COLLECTOR_KEYS, MARKS_OF_COLLECTOR
from signals_core.config.field_schema import (
    DEFINITIONS,
    Schema,
    any_of,
    described,
    hinting,
    matching,
    named,
    of_class,
    of_type,
    or_null,
    ref,
)
from signals_core.config.plugins import SHORT_SCHEDULES
from signals_core.config.project import MARKS_OF_PROJECT, NOT_DEFAULTS, PROJECT_KEYS
from signals_core.config.type_schema import (
    SHARED,
    definitions_of_types,
    names_of,
    or_use,
    reference_to,
    type_and_config,
)
from signals_core.fields import docs_of
from signals_core.registry import Registry

_NAME = named(patterns.NAME, "Write a name without slashes.")
_NOT_EMPTY: Schema = {"allOf": [ref("text")], "minLength": 1}

_Types = dict[str, Schema]


def schema_of(registry: Registry) -> Schema:
    """Return the schema of what is installed; what is broken is left out."""
    types = definitions_of_types(registry)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "signals",
        "description": "A collector, or the project file signals.yaml.",
        "if": _with_one_of(MARKS_OF_PROJECT),
        "then": ref("project"),
        "else": {
            "if": _with_one_of(MARKS_OF_COLLECTOR),
            "then": ref("collector"),
            "else": {"properties": _beginnings()},
        },
        "definitions": {
            **DEFINITIONS,
            **with_time(types),
            "source": _source(types),
            "sink": _sink(types),
            "sinks": _sinks(),
            "schedule": _schedule(types),
            "timezone": _zones(),
            "grain": matching(
                patterns.GRAIN, "Write it like 30s, 1h, 1d, 1w, 1mo, 1q or 1y; other days as hours."
            ),
            "metric": _metric(),
            "metrics": _metrics(),
            "window": _window(),
            "collector": _collector(types),
            "project": _project(types),
        },
    }


def _with_one_of(keys: tuple[str, ...]) -> Schema:
    return {"type": "object", "anyOf": [{"required": [key]} for key in keys]}


def _beginnings() -> dict[str, Schema]:
    """Return the keys of a document that is none of ours as yet, for whoever begins to write it."""
    docs = {**PROJECT_KEYS, **docs_of(Collector)}
    return {key: {"description": docs[key]} for key in (*COLLECTOR_KEYS, *PROJECT_KEYS)}


def _collector(types: _Types) -> Schema:
    own = {
        "name": _NAME,
        "id": or_null(_NAME),
        "metric": or_null(ref("metric")),
        "metrics": or_null(ref("metrics")),
        "source": ref("source"),
        "timezone": or_null(ref("timezone")),
    }
    properties = {**own, **_values(), "tags": or_null(_tags())}
    collector = {
        "type": "object",
        "properties": _documented(properties),
        "additionalProperties": False,
        "required": ["name", "source"],
        "oneOf": [_only("metric", "metrics"), _only("metrics", "metric")],
    }
    return with_old_keys(collector, own_time=_with_own_time(types))


def _only(this: str, other: str) -> Schema:
    return {
        "required": [this],
        "properties": {this: {"not": {"type": "null"}}, other: {"type": "null"}},
    }


def _with_own_time(types: _Types) -> list[str]:
    names = names_of(types, SHARED)
    return [name for name in names if "time" in types[f"{SHARED}:{name}"]["properties"]]


def _values() -> dict[str, Schema]:
    """Return the keys that both a collector and the defaults may have."""
    found = {
        "grain": ref("grain"),
        "tags": of_type(dict[str, str]),
        "window": ref("window"),
        "schedule": ref("schedule"),
        "sinks": ref("sinks"),
        "timeout": ref("positive_duration"),
        "max_rows": {"allOf": [ref("integer"), {"minimum": 1}]},
        "owner": ref("text"),
        "description": ref("text"),
    }
    return {key: or_null(schema) for key, schema in found.items()}


def _documented(properties: dict[str, Schema]) -> dict[str, Schema]:
    docs = docs_of(Collector)
    defaults = {each.alias: each.default for each in fields(Collector)}
    return {
        key: described(schema, docs[key], _plain(defaults[key]))
        for key, schema in properties.items()
    }


def _plain(default: Any) -> Any:
    """Return a default that a person would write; an empty one is nothing to show."""
    return default if isinstance(default, (str, int, timedelta)) else None


def _metric() -> Schema:
    """Return the schema of a single definition, which may hold the collector's grain and tags."""
    schema = _definition()
    more = {"tags": _tags(), "grain": ref("grain")}
    docs = docs_of(Collector)
    for key, each in more.items():
        schema["properties"][key] = described(or_null(each), docs[key])
    return schema


def _metrics() -> Schema:
    """Return the schema of several definitions, each of which names its column."""
    each = _definition()
    each["properties"]["value"] = described(ref("text"), docs_of(MetricDefinition)["value"])
    each["required"] = [*each["required"], "value"]
    return {"type": "array", "minItems": 1, "items": each}


def _definition() -> Schema:
    schema = of_class(MetricDefinition)
    name = described(_NOT_EMPTY, docs_of(MetricDefinition)["name"])
    return {**schema, "properties": {**schema["properties"], "name": name}}


def _tags() -> Schema:
    return {"anyOf": [of_type(dict[str, str]), TAGS]}


def _window() -> Schema:
    schema = of_class(WindowPolicy)
    docs = docs_of(WindowPolicy)
    number = {"allOf": [ref("integer"), {"minimum": 1}]}
    more: dict[str, Schema] = {
        "catch_up": {"anyOf": [{"const": "all"}, number]},
        "revise": {"type": "array", "items": ref("positive_duration")},
    }
    for key, each in more.items():
        schema["properties"][key] = described(or_null(each), docs[key])
    return schema


def _source(types: _Types) -> Schema:
    return with_strategy(or_use(type_and_config(types, "source", PREFIXES), "source"))


def _sink(types: _Types) -> Schema:
    sink = or_use(type_and_config(types, "sink"), "sink")
    nothing = {"properties": {"config": {"maxProperties": 0}}}  # a shared sink is one for all
    return {**sink, "dependencies": {"use": nothing}}


def _sinks() -> Schema:
    """Return the schema of sinks by name, where only one that is shared may have a slash in it."""
    by_name = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": ref("sink"),
        "patternProperties": {"/|^$": {"allOf": [ref("sink")], "required": ["use"]}},
    }
    names = {"type": "array", "minItems": 1, "items": ref("text"), "uniqueItems": True}
    return {"anyOf": [by_name, names]}


def _schedule(types: _Types) -> Schema:
    """Return the schema of `{type, config}` and of the short forms."""
    schema = type_and_config(types, "schedule")
    short = [name for name in SHORT_SCHEDULES if f"schedule:{name}" in types]
    for name in short:
        schema = {
            "if": {"required": [name], "not": {"required": ["type"]}},
            "then": reference_to("schedule", name),
            "else": schema,
        }
    offered = {name: {"description": f"Short for type: {name}."} for name in short}
    return {"type": "object", "properties": offered, **schema}


def _project(types: _Types) -> Schema:
    defaults = {key: schema for key, schema in _values().items() if key not in NOT_DEFAULTS}
    sections = {
        "version": {"enum": [1, "1"]},
        "timezone": or_null(ref("timezone")),
        "plugins": or_null(of_type(list[Path])),
        "sources": _shared(type_and_config(types, SHARED)),
        "sinks": _shared(type_and_config(types, "sink")),
        "defaults": or_null(
            {
                "type": "object",
                "properties": _documented(defaults),
                "additionalProperties": False,
            }
        ),
    }
    return {
        "type": "object",
        "properties": {
            key: described(sections.get(key, {}), doc) for key, doc in PROJECT_KEYS.items()
        },
        "additionalProperties": False,
        "required": ["version"],
    }


def _shared(spec: Schema) -> Schema:
    by_name = {
        "type": "object",
        "additionalProperties": spec,
        "propertyNames": {"pattern": patterns.NAME},
    }
    return or_null(by_name)


def _zones() -> Schema:
    """Return the schema of a time zone, by the names that this machine knows."""
    return any_of(
        hinting({"enum": sorted(available_timezones())}, "Write it like UTC or Europe/Paris."),
        {"type": "string", "pattern": "^(?:posix|right)/"},
        ref("reference"),
    )
