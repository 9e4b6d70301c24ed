"""The JSON Schema of a configuration field: what an editor may meet where a type is wanted.

An editor sees values as YAML types them, while to us a scalar is its text: a tag `1.10` is a number
to it. So each type takes whatever YAML makes of text that the type takes, and a reference.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs
import yaml

from signals_core.config import patterns, scalars
from signals_core.duration import DURATION_FORMS, format_duration
from signals_core.fields import Field, docs_of, fields_of, optional_of
from signals_core.plugin import Json
from signals_core.secret import Secret

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """Refer to a definition."""
    return {"$ref": f"#/definitions/{name}"}


def any_of(*options: Schema) -> Schema:
    """Allow one or the other."""
    return options[0] if len(options) == 1 else {"anyOf": [*options]}


def or_null(schema: Schema) -> Schema:
    """Allow a bare null, which is the absence of the key."""
    return any_of(*(schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]), _NULL)


def matching(pattern: str, hint: str, *others: Schema) -> Schema:
    """Allow text that matches, a reference, and what else YAML may make of such text."""
    options = [{"type": "string", "pattern": pattern}, *others]
    return any_of(*(hinting(each, hint) for each in options), ref("reference"))


def hinting(schema: Schema, hint: str) -> Schema:
    """Have the language server say what would be right, and not the pattern."""
    return {**schema, "errorMessage": hint}


def named(pattern: str, hint: str) -> Schema:
    """Allow any scalar, whose text must match."""
    return {
        "allOf": [ref("text"), matching(pattern, hint, {"type": ["number", "boolean"]})],
    }


_DURATION = f"{DURATION_FORMS[0].upper()}{DURATION_FORMS[1:]}."

#: What the schemas of fields refer to.
DEFINITIONS: dict[str, Schema] = {
    "text": {
        "type": ["string", "number", "boolean"],
        "pattern": patterns.TEXT,
        "not": {"type": "string", "pattern": patterns.UNKNOWN_CALL},
    },
    "reference": {
        "type": "string",
        "pattern": patterns.REFERENCE,
        "allOf": [ref("text")],
    },
    "integer": matching(patterns.INTEGER, "Write a whole number.", {"type": "integer"}),
    "number": matching(patterns.NUMBER, "Write a number.", {"type": "number"}),
    "truth": any_of({"type": "boolean"}, {"enum": ["true", "false"]}, ref("reference")),
    "path": named(patterns.PATH, "Write a path."),
    # A zero needs no unit,
    "duration": matching(patterns.DURATION, _DURATION, {"const": 0}),
    "positive_duration": matching(
        patterns.POSITIVE_DURATION, f"{_DURATION} It must be more than zero."
    ),
    # and a date no hyphens.
    "moment": matching(
        patterns.MOMENT,
        "Write a date or time such as 2026-01-01 or 2026-01-01T06:00Z.",
        {"type": "integer", "minimum": 1_01_01},
    ),
}

_SCALARS: dict[Any, Schema] = {
    str: ref("text"),
    Secret: ref("text"),
    int: ref("integer"),
    float: ref("number"),
    Decimal: ref("number"),
    bool: ref("truth"),
    Path: ref("path"),
    timedelta: ref("duration"),
    datetime: ref("moment"),
    Json: {},
}


def of_type(kind: Any) -> Schema:
    """Return the schema of the values that a field of the type `kind` takes."""
    if (inner := optional_of(kind)) is not None:
        return or_null(of_type(inner))
    if kind in _SCALARS:
        return _SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return one_of(arguments)
    if origin is list:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": or_null(of_type(arguments[1]))}
    if issubclass(kind, Enum):
        return one_of(str(member.value) for member in kind)
    return of_class(kind)


def of_class(cls: type[Any], *, complete: bool = True) -> Schema:
    """Return the schema of a mapping that an attrs class is built from.

    Unless `complete` it may lack what is required, since somebody else gives it.
    """
    fields, docs = fields_of(cls), docs_of(cls)
    checks = {
        each.alias: each.validator if each.converter is None else None  # it sees what comes of it
        for each in attrs.fields(cls)
    }
    properties = {
        key: _of_field(field, docs.get(key, ""), limits_of(checks[key]))
        for key, field in fields.items()
    }
    found = {
        "type": "object",
        "description": inspect.getdoc(cls) or "",
        "properties": properties,
        "additionalProperties": False,
    }
    required = [key for key, field in fields.items() if field.required]
    return {**found, "required": required} if complete and required else found


def _of_field(field: Field, doc: str, limits: Iterable[Schema]) -> Schema:
    schema = of_type(field.type)
    for limit in limits:
        schema = {"allOf": [schema, limit]}
    if not field.required and schema:
        schema = or_null(schema)
    return described(schema, doc, None if field.required else field.default)


def described(schema: Schema, doc: str, default: Any = None) -> Schema:
    """Add what a person is shown; beside a bare `$ref` it would not be looked at."""
    about: Schema = {"description": doc} if doc else {}
    if default is not None:
        about["default"] = as_written(default)
    if not about:
        return schema
    return {**about, **({"allOf": [schema]} if "$ref" in schema else schema)}


def one_of(options: Iterable[Any]) -> Schema:
    """Allow some texts, in whatever types YAML makes of them, and a reference."""
    spelled = [each for option in dict.fromkeys(options) for each in _spellings(str(option))]
    return any_of(*([{"enum": spelled}] if spelled else []), ref("reference"))


def _spellings(text: str) -> list[Any]:
    """Return a text, and what YAML 1.1 and YAML 1.2 may make of it."""
    found: list[Any] = [text]
    with suppress(yaml.YAMLError):
        typed = yaml.safe_load(text)
        found += [typed] if isinstance(typed, (bool, int, float)) else []
    with suppress(ValueError):
        number = scalars.floating(text)
        found += [number] if number not in found else []
    return found


def limits_of(validator: Any) -> Iterator[Schema]:
    """Yield what the validators of attrs demand, as far as a schema can say it.

    Their classes have no public names; what their arguments are called has been the same since
    they exist. A validator of the plugin's own is code.
    """
    if (several := getattr(validator, "_validators", None)) is not None:
        for each in several:
            yield from limits_of(each)
    elif (inner := getattr(validator, "validator", None)) is not None:
        yield from ({"anyOf": [_NULL, limit]} for limit in limits_of(inner))
    elif isinstance(options := getattr(validator, "options", None), (list, tuple, AbstractSet)):
        if all(type(option) in (str, int, float) for option in options):
            yield one_of(sorted(options, key=str))
    else:
        keyword = _COMPARISONS.get(getattr(validator, "compare_op", ""))
        bound = getattr(validator, "bound", None)
        if keyword and isinstance(bound, (int, float)):
            yield {keyword: bound}


_COMPARISONS = {
    ">=": "minimum",
    ">": "exclusiveMinimum",
    "<=": "maximum",
    "<": "exclusiveMaximum",
}


def as_written(value: Any) -> Any:
    """Return a default as it would be written, in the types of JSON; a secret is not shown."""
    if isinstance(value, Enum):
        return as_written(value.value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): as_written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_written(item) for item in value]
    if attrs.has(type(value)):
        return {
            each.alias: as_written(getattr(value, each.name))
            for each in attrs.fields(type(value))
            if each.init
        }
    return str(value)
