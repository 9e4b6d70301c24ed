"""The JSON Schema of sources, sinks and schedules: each type that is installed, with its fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from signals_core.config.field_schema import (
    Schema,
    described,
    of_class,
    one_of,
    or_null,
    ref,
)
from signals_core.errors import PluginError
from signals_core.plugin import Plugin
from signals_core.registry import Registry

#: What stands before the name of a source that all of a project share. Its configuration need not
#: be complete: collectors may give the rest.
SHARED = "shared_source"


def definitions_of_types(registry: Registry) -> dict[str, Schema]:
    """Return the configuration of each type, under its kind and name.

    A type that cannot be loaded has none: `check_all` lists it as broken.
    """
    found = {}
    for (kind, name), entry in sorted(registry.types.items()):
        try:
            cls = entry.load()
        except PluginError:
            continue
        title = {"title": f"fields of {name}"}
        found[f"{kind}:{name}"] = title | _configuration(cls)
        if kind == "source":
            found[f"{SHARED}:{name}"] = title | _configuration(cls, complete=False)
    return found


def _configuration(cls: type[Plugin], *, complete: bool = True) -> Schema:
    """Return the fields of a class and, side by side with them, those of its query."""
    schema = of_class(cls, complete=complete)
    query: Any = getattr(cls, "Query", None)
    if query is None:
        return schema
    of_query = of_class(query, complete=complete)
    schema["properties"] |= of_query["properties"]
    if required := [*schema.get("required", ()), *of_query.get("required", ())]:
        schema["required"] = required
    return schema


def names_of(definitions: dict[str, Schema], form: str) -> list[str]:
    """Return the names of the types that have a definition of a form: a kind, or `SHARED`."""
    parts = (key.partition(":") for key in definitions)
    return [name for of, _, name in parts if of == form]


def type_and_config(
    definitions: dict[str, Schema], form: str, prefixes: Sequence[str] = ("",)
) -> Schema:
    """Return the schema of `{type, config}`; a type may stand with one of the prefixes."""
    names = names_of(definitions, form)
    spelled = [prefix + name for prefix in prefixes for name in names]
    return {
        "type": "object",
        "properties": {
            "type": described(one_of(spelled), "One of the types that are installed."),
            "config": described(or_null({"type": "object"}), "The fields of the type."),
        },
        "additionalProperties": False,
        "required": ["type"],
        "allOf": [_config_of(definitions, form, name, prefixes) for name in names],
    }


def or_use(spec: Schema, kind: str) -> Schema:
    """Allow `{use}` in the place of `{type}`."""
    use = described(ref("text"), f"The name of a shared {kind}.")
    rest = {key: value for key, value in spec.items() if key != "required"}
    return {
        **rest,
        "properties": {**spec["properties"], "use": use},
        "oneOf": [{"required": ["type"]}, {"required": ["use"]}],
    }


def reference_to(form: str, name: str) -> Schema:
    """Refer to the definition of a type, whatever characters its name has."""
    return ref(quote(f"{form}:{name}".replace("~", "~0").replace("/", "~1"), safe=":"))


def _config_of(
    definitions: dict[str, Schema], form: str, name: str, prefixes: Sequence[str]
) -> Schema:
    names = one_of(prefix + name for prefix in prefixes)["anyOf"][0]
    config = reference_to(form, name)
    then: Schema = {"properties": {"config": or_null(config)}}
    if "required" in definitions[f"{form}:{name}"]:
        then = {"properties": {"config": config}, "required": ["config"]}
    return {"if": {"properties": {"type": names}, "required": ["type"]}, "then": then}
