"""Nodes to typed values: every scalar is parsed by the type of the field it lands in.

cattrs dispatches on types; the hooks are our own, since its default coercions are too kind
(`'false'` is true, `3.7` is 3) and its errors hold the offending value, which may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin
from zoneinfo import ZoneInfo

import attrs
from cattrs import Converter

from signals_core.config import json_text, scalars
from signals_core.config.nodes import Items, Keys, Node, Scalar, is_null, kind_of
from signals_core.config.refusals import refusals
from signals_core.duration import parse_duration
from signals_core.errors import Problem
from signals_core.fields import WORDS, Field, fields_of, in_words, optional_of
from signals_core.plugin import Json
from signals_core.references import Unresolved, anchored, expand, has_references
from signals_core.secret import Secret, remember

T = TypeVar("T")


#: The most of a wrong value that a message shows.
_SHOWN = 60


class Failed(Exception):
    """A node that could not be structured; what is wrong has been noted already."""


class Structurer:
    """Structures nodes in one time zone, noting every problem on the way.

    `mistakes` counts the problems that are no warnings, `dangling` the references that led
    nowhere: what a check says of their text is void.
    """

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.zone = ZoneInfo("UTC")
        self.mistakes = 0
        self.dangling = 0
        self._converter = Converter()
        self._fields: dict[type, dict[str, Field]] = {}
        self._register()

    def structure(self, node: Node, kind: Any) -> Any:
        """Return `node` as a `kind`. Raises `Failed` when it is none, the problems being noted."""
        if isinstance(node, Scalar) and node.refused:
            raise Failed
        if isinstance(kind, type) and issubclass(kind, Enum):
            # cattrs would take a text or number enumeration for the text or number that it also is
            return self._enum(node, kind)
        return self._converter.structure(node, kind)

    def attempt(self, node: Node, kind: Any, otherwise: Any = None) -> Any:
        """Return `node` as a `kind`, or `otherwise`, the problems being noted."""
        try:
            return self.structure(node, kind)
        except Failed:
            return otherwise

    def known_text(self, node: Node) -> str:
        """Return text that something hangs on. Raises `Failed` while a reference leads nowhere."""
        dangling, text = self.dangling, self.structure(node, str)
        if self.dangling > dangling:
            raise Failed
        return str(text)

    def build(self, cls: type[T], keys: Keys) -> T:
        """Build an attrs class from the keys of a mapping; a null is the absence of a key."""
        known, dangling = self.fields(cls), self.dangling
        failed = self.unknown_keys(keys, known)
        values = {}
        for key, field in known.items():
            node = keys.nodes.get(key)
            if node is None or (is_null(node) and not _takes_null(field.type)):
                if field.required:
                    self.note(keys.mark_of(key).problem("is missing", _wanted(field.type)))
                    failed = True
                continue
            try:
                values[key] = self.structure(node, field.type)
            except Failed:
                failed = True
        if failed:
            raise Failed
        try:
            return cls(**values)
        except Exception as error:  # noqa: BLE001 - a plugin's own checks, or its bug
            if self.dangling == dangling:
                for key, message in refusals(cls, values, error):
                    mark = keys.mark_of(key) if key else keys.mark
                    self.note(mark.problem(message))
            raise Failed from None

    def fields(self, cls: type) -> dict[str, Field]:
        """Return the configuration fields of a class, remembered."""
        if cls not in self._fields:
            self._fields[cls] = fields_of(cls)
        return self._fields[cls]

    def unknown(self, keys: Keys, key: str, known: Iterable[str]) -> None:
        """Note a key that nothing knows, with the nearest one that something does."""
        self.note(keys.mark_of(key).problem("is no known key", nearest(key, list(known))))

    def unknown_keys(self, keys: Keys, known: Collection[str]) -> bool:
        """Note the keys that nothing knows; returns whether there are any."""
        unknown = [key for key in keys.nodes if key not in known]
        for key in unknown:
            self.unknown(keys, key, known)
        return bool(unknown)

    def keys(self, node: Node, remedy: str = "write a mapping") -> Keys:
        """Return a node that must be a mapping. Raises `Failed`."""
        if not isinstance(node, Keys):
            self.mismatch(node, remedy)
        return node

    def items(self, node: Node, remedy: str = "write a list") -> Items:
        """Return a node that must be a list. Raises `Failed`."""
        if not isinstance(node, Items):
            self.mismatch(node, remedy)
        return node

    def mismatch(self, node: Node, remedy: str) -> NoReturn:
        """Note that a node is of the wrong kind, unless it was refused before. Raises `Failed`."""
        if not (isinstance(node, Scalar) and node.refused):
            self.note(node.mark.problem(f"is {kind_of(node)}", remedy))
        raise Failed

    def note(self, problem: Problem) -> None:
        """Note a problem."""
        self.problems.append(problem)
        self.mistakes += not problem.warning

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
            self.dangling += 1
            of_variable = "set it, or give a default as in ${NAME:-default}"
            remedy = "" if str(error).startswith("the file ") else of_variable
            self.note(scalar.mark.problem(str(error), remedy, warning=True))
            return scalar.text
        except ValueError as error:  # Malformed, or a path that can be none
            remedy = "write ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for ${"
            self._fail(scalar, str(error), remedy)

    def moment_of(self, text: str) -> datetime:
        """Read a date or a time; without a zone it is in the zone of the structurer."""
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=self.zone)
        moment.astimezone(UTC)  # overflows at the ends of the calendar
        return moment

    def _register(self) -> None:
        parsers: dict[type, Callable[[str], Any]] = {
            int: scalars.integer,
            float: scalars.floating,
            Decimal: scalars.decimal,
            bool: scalars.boolean,
            timedelta: parse_duration,
            datetime: self.moment_of,
        }
        for kind, parse in parsers.items():
            self._converter.register_structure_hook(kind, self._parsing(parse, WORDS[kind]))
        self._converter.register_structure_hook(str, lambda node, _: self._text(node))
        self._converter.register_structure_hook(Path, lambda node, _: self._path(node))
        self._converter.register_structure_hook(Secret, lambda node, _: self._secret(node))
        by_predicate: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
            (attrs.has, self._class),
            (lambda kind: get_origin(kind) is list, self._list),
            (lambda kind: get_origin(kind) is dict, self._dict),
            (lambda kind: optional_of(kind) is not None, self._optional),
            (lambda kind: get_origin(kind) is Literal, self._literal),
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
            except (ValueError, ArithmeticError):
                if text == scalar.text and has_references(text):
                    raise Failed from None  # it leads nowhere, which has been noted
                self._fail(node, f"{_shown(scalar)} is not {wanted}")

        return hook

    def _scalar(self, node: Node, wanted: str) -> Scalar:
        if isinstance(node, Scalar) and not node.null:
            return node
        self.mismatch(node, f"write {wanted}")

    def _text(self, node: Node) -> str:
        return self.text_of(self._scalar(node, WORDS[str]))

    def _path(self, node: Node) -> Path:
        scalar = self._scalar(node, WORDS[Path])
        text = self.text_of(scalar)
        try:
            if not text or "\0" in text:
                raise ValueError(text)
            return scalar.mark.folder / Path(text).expanduser()
        except (ValueError, RuntimeError):  # no path, or the home of nobody
            self._fail(scalar, f"{_shown(scalar)} is not a path")

    def _secret(self, node: Node) -> Secret:
        scalar = self._scalar(node, "text or a reference such as ${PASSWORD}")
        dangling = self.dangling
        text = self.text_of(scalar)
        if self.dangling == dangling:
            remember(text)
        return Secret(anchored(scalar.text, scalar.mark.folder))

    def _class(self, node: Node, kind: Any) -> Any:
        return self.build(kind, self.keys(node))

    def _list(self, node: Node, kind: Any) -> list[Any]:
        (element,) = get_args(kind)
        return self._all(self.items(node).nodes, lambda item: self.structure(item, element))

    def _dict(self, node: Node, kind: Any) -> dict[str, Any]:
        element = get_args(kind)[1]
        nodes = {
            key: item
            for key, item in self.keys(node).nodes.items()
            if not is_null(item) or _takes_null(element)
        }
        values = self._all(list(nodes.values()), lambda item: self.structure(item, element))
        return dict(zip(nodes, values, strict=True))

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
        if is_null(node):
            return None
        return self.structure(node, optional_of(kind))

    def _literal(self, node: Node, kind: Any) -> Any:
        return self._one_of(node, list(get_args(kind)))

    def _enum(self, node: Node, kind: type[Enum]) -> Any:
        values = {str(member.value): member for member in kind}
        return values[self._one_of(node, list(values))]

    def _one_of(self, node: Node, options: list[str]) -> str:
        scalar = self._scalar(node, f"one of {', '.join(options)}")
        text = self.text_of(scalar)
        if text in options:
            return text
        if text == scalar.text and has_references(text):
            raise Failed  # it leads nowhere, which has been noted
        self._fail(node, f"{_shown(scalar)} is none of its values", nearest(text, options))

    def _json(self, node: Node) -> Any:
        if isinstance(node, Scalar) and not node.null:
            return self._json_text(node)
        return self._json_tree(node)

    def _json_text(self, scalar: Scalar) -> Any:
        """JSON text is parsed before its strings are expanded, so that no value breaks out."""
        try:
            tree = json_text.parse(scalar.text)
        except ValueError as error:
            dangling, expanded = self.dangling, self.text_of(scalar)
            if self.dangling > dangling:
                raise Failed from None
            if expanded == scalar.text:
                self._fail(scalar, f"is no JSON: {error}")
            return self._whole_json(expanded, scalar)
        return json_text.with_strings(
            tree, lambda text: self.text_of(attrs.evolve(scalar, text=text))
        )

    def _whole_json(self, text: str, scalar: Scalar) -> Any:
        """Parse JSON text that is JSON only now that its references are replaced."""
        try:
            return json_text.parse(text)
        except ValueError as error:
            self._fail(scalar, f"is no JSON: {error}")

    def _json_tree(self, node: Node) -> Any:
        if isinstance(node, Keys):
            return {key: self._json_tree(item) for key, item in node.nodes.items()}
        if isinstance(node, Items):
            return [self._json_tree(item) for item in node.nodes]
        if node.refused:
            raise Failed
        text = self.text_of(node)
        if node.null:
            return None
        try:
            return json_text.plain(text) if node.plain else text
        except ValueError as error:
            self._fail(node, f"is no JSON: {error}")

    def _fail(self, node: Node, message: str, remedy: str = "") -> NoReturn:
        self.note(node.mark.problem(message, remedy))
        raise Failed from None


def nearest(name: str, known: list[str]) -> str:
    """Return "did you mean X?" for a typo, else the list of what is known."""
    close = get_close_matches(name, known, n=1) or [
        each for each in known if each.lower() == name.lower()
    ]
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"


def _wanted(kind: Any) -> str:
    return f"it takes {in_words(kind)}"


def _shown(scalar: Scalar) -> str:
    """Return a wrong value for a message: as it was written, and never whole when it is long."""
    text = scalar.text
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _takes_null(kind: Any) -> bool:
    return optional_of(kind) is not None or kind == Json
