"""The configuration fields that a plugin class declares, read from its annotations."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from signals_core.errors import PluginError
from signals_core.plugin import Json
from signals_core.secret import Secret

SCALARS = (str, int, float, bool, Decimal, Path, timedelta, datetime, Secret)

_ALLOWED = (
    "str int float bool Decimal Path timedelta datetime Secret Json Literal (of text) Enum "
    "list[X] dict[str, X] X | None and nested attrs classes"
)


@attrs.frozen
class Field:
    """One configuration field: the key in YAML, its type, and its default."""

    key: str
    type: Any
    required: bool
    default: Any = None


def is_own_attrs_class(cls: type) -> bool:
    """Whether `cls` itself was decorated (a subclass without `@define` silently has no fields)."""
    return "__attrs_attrs__" in cls.__dict__


def fields_of(cls: type, *, inside: tuple[type, ...] = ()) -> dict[str, Field]:
    """Return the configuration fields of an attrs class by key; `inside` are those around it.

    Raises `PluginError` for an undecorated class, for an annotation that cannot be resolved and
    for a type that no configuration can hold.
    """
    if not is_own_attrs_class(cls):
        raise PluginError(
            f"the class {cls.__qualname__} is not decorated", "put attrs.define above it"
        )
    try:
        hints = get_type_hints(cls, include_extras=True)
    except Exception as error:  # noqa: BLE001 - an annotation is code like any other
        raise PluginError(
            f"an annotation of {cls.__qualname__} cannot be resolved: {error}",
            "import what it names where the class is defined, outside TYPE_CHECKING",
        ) from None
    found = {}
    for attribute in attrs.fields(cls):
        if not attribute.init:
            continue
        key, kind = attribute.alias, hints.get(attribute.name, attribute.type)
        if not _is_allowed(kind, (*inside, cls)):
            raise PluginError(
                f"the field {key} of {cls.__qualname__} has the type {type_name(kind)}",
                f"a configuration field may be: {_ALLOWED}",
            )
        found[key] = Field(key, kind, attribute.default is attrs.NOTHING, _default_of(attribute))
    return found


def docs_of(cls: type) -> dict[str, str]:
    """Return what the source of a class says of its fields, by key: the text below each.

    Nothing is said of a field that has none, nor where there is no source.
    """
    said: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        said |= _texts_below(base)
    return {
        attribute.alias: said[attribute.name]
        for attribute in attrs.fields(cls)
        if attribute.name in said
    }


def _texts_below(cls: type) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError):
        return {}
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, following in pairwise(body.body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


def type_name(kind: Any) -> str:
    """Return a field's type as an author writes it."""
    if kind == Json:
        return "Json"
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    if (inner := optional_of(kind)) is not None:
        return f"{type_name(inner)} | None"
    if isinstance(origin := get_origin(kind), type) and origin is not types.UnionType:
        return f"{origin.__name__}[{', '.join(map(type_name, get_args(kind)))}]"
    return str(kind).replace("typing.", "")


#: What a field of each type takes, in the words of configurations.
WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    bool: "true or false",
    Path: "a path",
    timedelta: "a duration such as 30s, 1h30m or 1.5h",
    datetime: "a date or time such as 2026-01-01 or 2026-01-01T06:00Z",
    Secret: "a secret",
    Json: "JSON or a YAML tree",
}


def in_words(kind: Any) -> str:
    """Return what a field of a type takes, for who writes a configuration and no Python."""
    if isinstance(kind, Hashable) and kind in WORDS:
        return WORDS[kind]
    if (inner := optional_of(kind)) is not None:
        return in_words(inner)
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(inside)}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    if origin is list:
        return f"a list, each item {in_words(inside[0])}"
    return f"a mapping, each value {in_words(inside[1])}" if origin is dict else "a mapping"


def sameness_of(value: Any) -> Hashable:
    """Return something hashable that is equal for plugins, or values, configured alike."""
    if attrs.has(type(value)):
        if not is_own_attrs_class(type(value)):
            return id(value)  # nobody knows what else it holds
        fields = [each for each in attrs.fields(type(value)) if each.init]
        return type(value), tuple(sameness_of(getattr(value, each.name)) for each in fields)
    if isinstance(value, Mapping):
        return frozenset((key, sameness_of(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(sameness_of(item) for item in value)
    return type(value), value if isinstance(value, Hashable) else id(value)


def secrets_in(value: Any) -> Iterator[Secret]:
    """Yield the secrets that a plugin, or a value, is configured with."""
    if isinstance(value, Secret):
        yield value
    elif attrs.has(type(value)):
        for each in attrs.fields(type(value)):
            if each.init:
                yield from secrets_in(getattr(value, each.name))
    elif isinstance(value, Mapping):
        yield from secrets_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)


def optional_of(kind: Any) -> Any | None:
    """Return X for `X | None`, None for anything else."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    rest = [option for option in get_args(kind) if option is not type(None)]
    return rest[0] if len(rest) == 1 and len(get_args(kind)) == 2 else None


def _default_of(attribute: attrs.Attribute[Any]) -> Any:
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return None if default.takes_self else _made_by(default.factory, attribute.name)
    return None if default is attrs.NOTHING else default


def _made_by(factory: Any, name: str) -> Any:
    try:
        return factory()
    except Exception as error:
        raise PluginError(
            f"the default of the field {name} cannot be made: {error}",
            "a default is made without arguments and does no I/O",
        ) from error


def _is_allowed(kind: Any, inside: tuple[type, ...]) -> bool:
    if kind in SCALARS or kind == Json:
        return True
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return all(isinstance(option, str) for option in arguments)
    if origin is list:
        return _is_allowed(arguments[0], inside)
    if origin is dict:
        return arguments[0] is str and _is_allowed(arguments[1], inside)
    if (inner := optional_of(kind)) is not None:
        return _is_allowed(inner, inside)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return True
    if isinstance(kind, type) and is_own_attrs_class(kind) and kind not in inside:
        fields_of(kind, inside=inside)
        return True
    return False
