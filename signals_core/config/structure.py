"""Nodes to typed values: every scalar is parsed by the type of the field it lands in.

cattrs dispatches on types; the hooks are our own, since its default coercions are too kind
(`'false'` is true, `3.7` is 3) and its errors hold the offending value, which may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin
from zoneinfo import ZoneInfo

import attrs
from cattrs import Converter

from signals_core.config.nodes import Items, Keys, Node, Scalar, kind_of
from signals_core.duration import parse_duration
from signals_core.errors import Problem, reason_of
from signals_core.fields import Field, fields_of, optional_of, type_name
from signals_core.plugin import Json
from signals_core.references import Malformed, Unresolved, anchored, expand, has_references
from signals_core.secret import Secret, remember

T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_JSON_PLAIN = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class Failed(Exception):  # noqa: N818 - no error for a user: the problem has been noted
    """A node that could not be structured; what is wrong has been noted already."""


class Structurer:
    """Structures nodes in one time zone, noting every problem on the way."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.zone = ZoneInfo("UTC")
        self._converter = Converter()
        self._fields: dict[type, dict[str, Field]] = {}
        self._register()

    def structure(self, node: Node, kind: type[T]) -> T:
        """Return `node` as a `kind`. Raises `Failed` when it is none, the problems being noted."""
        value: T = self._converter.structure(node, kind)
        return value

    def attempt(self, node: Node, kind: Any, otherwise: Any = None) -> Any:
        """Return `node` as a `kind`, or `otherwise`, the problems being noted."""
        try:
            return self.structure(node, kind)
        except Failed:
            return otherwise

    def build(self, cls: type[T], keys: Keys) -> T:
        """Build an attrs class from the keys of a mapping."""
        known = self.fields(cls)
        values, failed = {}, False
        for key in keys.nodes.keys() - known.keys():
            self.unknown(keys, key, list(known))
            failed = True
        for key, field in known.items():
            if key not in keys.nodes:
                if field.required:
                    self.note(keys.mark.at(key).problem("is missing", f"{_wanted(field.type)}"))
                    failed = True
                continue
            try:
                values[key] = self.structure(keys.nodes[key], field.type)
            except Failed:
                failed = True
        if failed:
            raise Failed
        try:
            return cls(**values)
        except Exception as error:  # a plugin's own checks, or its bug
            self._fail(keys, reason_of(error))
            raise

    def fields(self, cls: type) -> dict[str, Field]:
        """Return the configuration fields of a class, remembered."""
        if cls not in self._fields:
            self._fields[cls] = fields_of(cls)
        return self._fields[cls]

    def unknown(self, keys: Keys, key: str, known: list[str]) -> None:
        """Note a key that nothing knows, with the nearest one that something does."""
        self.note(keys.mark_of(key).problem("is no known key", nearest(key, known)))

    def note(self, problem: Problem) -> None:
        """Note a problem."""
        self.problems.append(problem)

    def text_of(self, scalar: Scalar) -> str:
        """Return a scalar's text with its references replaced.

        One that leads nowhere is noted as a warning, and stays in the text as it is written.
        """
        if not has_references(scalar.text):
            return scalar.text
        template = anchored(scalar.text, scalar.mark.folder)
        try:
            return expand(template, on_file=remember)
        except Unresolved as error:
            remedy = "set it, or give a default as in ${NAME:-default}"
            self.note(scalar.mark.problem(str(error), remedy, warning=True))
            return scalar.text
        except Malformed as error:
            self._fail(
                scalar, str(error), "write ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for ${"
            )
            raise

    def moment_of(self, text: str) -> datetime:
        """Read a date or a time; without a zone it is in the zone of the structurer."""
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=self.zone)

    def _register(self) -> None:
        parsers: dict[type, tuple[Callable[[str], Any], str]] = {
            int: (_integer, "a whole number"),
            float: (_float, "a number"),
            Decimal: (_decimal, "a number"),
            bool: (_bool, "true or false"),
            timedelta: (parse_duration, "a duration such as 30s, 1h30m or 1.5h"),
            datetime: (self.moment_of, "a date or time such as 2026-01-01 or 2026-01-01T06:00Z"),
        }
        for kind, (parse, wanted) in parsers.items():
            self._converter.register_structure_hook(kind, self._parsing(parse, wanted))
        self._converter.register_structure_hook(str, lambda node, _: self._text(node))
        self._converter.register_structure_hook(Path, lambda node, _: self._path(node))
        self._converter.register_structure_hook(Secret, lambda node, _: self._secret(node))
        by_predicate: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
            (attrs.has, self._class),
            (lambda kind: get_origin(kind) is list, self._list),
            (lambda kind: get_origin(kind) is dict, self._dict),
            (lambda kind: optional_of(kind) is not None, self._optional),
            (lambda kind: get_origin(kind) is Literal, self._literal),
            (lambda kind: isinstance(kind, type) and issubclass(kind, Enum), self._enum),
            (lambda kind: kind == Json, lambda node, _: self._json(node)),
        ]
        for applies, hook in by_predicate:
            self._converter.register_structure_hook_func(applies, hook)

    def _parsing(self, parse: Callable[[str], Any], wanted: str) -> Callable[[Node, Any], Any]:
        def hook(node: Node, _kind: Any) -> Any:
            scalar = self._scalar(node, wanted)
            text = self.text_of(scalar)
            try:
                return parse(text)
            except ValueError:
                if text == scalar.text and has_references(text):
                    raise Failed from None  # it leads nowhere, which has been noted
                self._fail(node, f"{scalar.text!r} is not {wanted}")

        return hook

    def _scalar(self, node: Node, wanted: str) -> Scalar:
        if isinstance(node, Scalar) and not node.null:
            return node
        self._fail(node, f"is {kind_of(node)}", f"write {wanted}")
        raise Failed

    def _text(self, node: Node) -> str:
        return self.text_of(self._scalar(node, "text"))

    def _path(self, node: Node) -> Path:
        scalar = self._scalar(node, "a path")
        return scalar.mark.folder / Path(self.text_of(scalar)).expanduser()

    def _secret(self, node: Node) -> Secret:
        scalar = self._scalar(node, "text or a reference such as ${PASSWORD}")
        remember(self.text_of(scalar))
        return Secret(anchored(scalar.text, scalar.mark.folder))

    def _class(self, node: Node, kind: Any) -> Any:
        if not isinstance(node, Keys):
            self._fail(node, f"is {kind_of(node)}", "write a mapping")
            raise Failed
        return self.build(kind, node)

    def _list(self, node: Node, kind: Any) -> list[Any]:
        if not isinstance(node, Items):
            self._fail(node, f"is {kind_of(node)}", "write a list")
            raise Failed
        (element,) = get_args(kind)
        return self._all(node.nodes, lambda item: self.structure(item, element))

    def _dict(self, node: Node, kind: Any) -> dict[str, Any]:
        if not isinstance(node, Keys):
            self._fail(node, f"is {kind_of(node)}", "write a mapping")
            raise Failed
        element = get_args(kind)[1]
        values = self._all(list(node.nodes.values()), lambda item: self.structure(item, element))
        return dict(zip(node.nodes, values, strict=True))

    def _all(self, nodes: list[Node], structure: Callable[[Node], Any]) -> list[Any]:
        values, failed = [], False
        for node in nodes:
            try:
                values.append(structure(node))
            except Failed:
                failed = True
        if failed:
            raise Failed
        return values

    def _optional(self, node: Node, kind: Any) -> Any:
        if isinstance(node, Scalar) and node.null:
            return None
        return self.structure(node, optional_of(kind))  # type: ignore[arg-type]  # never None here

    def _literal(self, node: Node, kind: Any) -> Any:
        return self._one_of(node, list(get_args(kind)))

    def _enum(self, node: Node, kind: type[Enum]) -> Any:
        values = {str(member.value): member for member in kind}
        return values[self._one_of(node, list(values))]

    def _one_of(self, node: Node, options: list[str]) -> str:
        scalar = self._scalar(node, f"one of {', '.join(options)}")
        text = self.text_of(scalar)
        if text not in options:
            self._fail(node, f"{scalar.text!r} is none of its values", nearest(text, options))
        return text

    def _json(self, node: Node) -> Any:
        if isinstance(node, Scalar) and not node.null:
            return self._json_text(node)
        return self._json_tree(node)

    def _json_text(self, scalar: Scalar) -> Any:
        """JSON text is parsed before its strings are expanded, so that no value breaks out."""
        try:
            tree = _parse_json(scalar.text)
        except ValueError as first:
            expanded = self.text_of(scalar)
            if expanded == scalar.text:
                self._fail(scalar, f"is no JSON: {first}")
            try:
                return _parse_json(expanded)
            except ValueError as error:
                self._fail(scalar, f"is no JSON: {error}")
        return self._expanded(tree, scalar)

    def _expanded(self, tree: Any, scalar: Scalar) -> Any:
        if isinstance(tree, str):
            return self.text_of(attrs.evolve(scalar, text=tree))
        if isinstance(tree, list):
            return [self._expanded(item, scalar) for item in tree]
        if isinstance(tree, dict):
            return {key: self._expanded(item, scalar) for key, item in tree.items()}
        return tree

    def _json_tree(self, node: Node) -> Any:
        if isinstance(node, Keys):
            return {key: self._json_tree(item) for key, item in node.nodes.items()}
        if isinstance(node, Items):
            return [self._json_tree(item) for item in node.nodes]
        text = self.text_of(node)
        if node.null:
            return None
        return json.loads(text) if node.plain and _JSON_PLAIN.fullmatch(text) else text

    def _fail(self, node: Node, message: str, remedy: str = "") -> None:
        self.note(node.mark.problem(message, remedy))
        raise Failed from None


def nearest(name: str, known: list[str]) -> str:
    """Return "did you mean X?" for a typo, else the list of what is known."""
    close = get_close_matches(name, known, n=1) or [
        each for each in known if each.lower() == name.lower()
    ]
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def _wanted(kind: Any) -> str:
    return f"it takes {type_name(kind)}"


def _integer(text: str) -> int:
    return int(text) if _INTEGER.fullmatch(text) else _refused(text)


def _float(text: str) -> float:
    return float(text) if _NUMBER.fullmatch(text) else _refused(text)


def _decimal(text: str) -> Decimal:
    return Decimal(text) if _NUMBER.fullmatch(text) else _refused(text)


def _bool(text: str) -> bool:
    return text == "true" if text in ("true", "false") else _refused(text)


def _refused(text: str) -> Any:
    raise ValueError(text)


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refused)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice in one object")
        found[key] = value
    return found
