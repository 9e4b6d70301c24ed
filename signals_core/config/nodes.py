"""YAML composed into nodes that know where they stand, never constructed.

A scalar stays text until the field it lands in parses it, so that `NO`, `1.10` and `1:30` mean
what they say.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from attrs import evolve, field, frozen

from signals_core.config.syntax import syntax_problem
from signals_core.errors import Problem

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:
    _Loader = yaml.SafeLoader

_TAG = "tag:yaml.org,2002:"
_NULL = f"{_TAG}null"
_MERGE = f"{_TAG}merge"

#: The tags that YAML itself gives to what it recognises, and those that say no more than that.
_KNOWN_TAGS = {
    _TAG + name for name in "bool float int map merge null seq str timestamp value".split()
}

#: Aliases may not blow a document up beyond this ("a billion laughs"),
_MOST_NODES = 200_000

#: and nesting may not exhaust the stack of whoever walks through it.
_DEEPEST = 100


@frozen
class Mark:
    """Where a node stands: the file as it is shown, its folder, the line and the key path."""

    file: str
    folder: Path
    line: int
    path: str = ""

    def problem(self, message: str, remedy: str = "", *, warning: bool = False) -> Problem:
        return Problem(message, remedy, self.path, self.file, self.line, warning)

    def at(self, key: str) -> Mark:
        """Return the same place with one more key on the path."""
        path = f"{self.path}.{key}" if self.path else key
        return Mark(self.file, self.folder, self.line, path)


@frozen
class Scalar:
    """Text, as written; `plain` when it was not quoted, `null` for a bare null.

    One that is `refused` stands in for what cannot be used, which has been noted already.
    """

    text: str
    mark: Mark = field(eq=False)
    plain: bool = True
    null: bool = False
    refused: bool = False


@frozen
class Items:
    """A sequence."""

    nodes: list[Node]
    mark: Mark = field(eq=False)


@frozen
class Keys:
    """A mapping, in order; `marks` tells where each key stands."""

    nodes: dict[str, Node]
    mark: Mark = field(eq=False)
    marks: dict[str, Mark] = field(factory=dict, eq=False)

    def mark_of(self, key: str) -> Mark:
        """Return where `key` stands, or would stand."""
        return self.marks.get(key) or self.mark.at(key)

    def with_key(self, key: str, node: Node) -> Keys:
        """Return the mapping with `key` set, in its old place when it was there."""
        mark = self.marks.get(key, node.mark)
        return Keys({**self.nodes, key: node}, self.mark, {**self.marks, key: mark})

    def without(self, *keys: str) -> Keys:
        """Return the mapping without some keys."""
        return self.only(self.nodes.keys() - set(keys))

    def only(self, keys: Collection[str]) -> Keys:
        """Return the mapping with no more than some keys."""
        kept = {key: node for key, node in self.nodes.items() if key in keys}
        return Keys(kept, self.mark, self.marks)


Node = Scalar | Items | Keys


def kind_of(node: Node) -> str:
    """Return what a person calls a node."""
    if isinstance(node, Scalar):
        return "empty" if node.null else "text"
    return "a list" if isinstance(node, Items) else "a mapping"


def is_null(node: Node | None) -> bool:
    """Whether nothing is there, or a bare null."""
    return node is None or (isinstance(node, Scalar) and node.null)


def compose(text: bytes, file: str, folder: Path, problems: list[Problem]) -> list[Node]:
    """Read the documents of one file, without the empty ones; mistakes go to `problems`."""
    documents: list[Node] = []
    try:
        for root in yaml.compose_all(text, Loader=_Loader):
            mark = Mark(file, folder, root.start_mark.line + 1)
            try:
                node = _Reader(mark, problems).read(root, "")
            except _Unfit as error:
                problems.append(error.problem)
            else:
                if not is_null(node):
                    documents.append(node)
    except yaml.YAMLError as error:
        problems.append(syntax_problem(error, text, file))
    return documents


class _Unfit(Exception):
    """A document that is too much to walk through."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Reader:
    """Turns the nodes of one document into ours."""

    def __init__(self, root: Mark, problems: list[Problem]) -> None:
        self._file, self._folder = root.file, root.folder
        self._problems = problems
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: str) -> Node:
        """Return our node; in place of one that cannot be used, a refused scalar."""
        mark = self._mark(node, path)
        self._count += 1
        if self._count > _MOST_NODES:
            message = f"the document holds more than {_MOST_NODES} values"
            raise _Unfit(evolve(mark, path="").problem(message, "its aliases multiply"))
        if node.tag not in _KNOWN_TAGS:
            tag = node.tag.replace(_TAG, "!!")
            return self._refused(mark, f"has the YAML tag {tag}", "take the tag out")
        if isinstance(node, yaml.ScalarNode):
            plain = not node.style  # the C parser says "", the other None
            return Scalar(node.value, mark, plain, plain and node.tag == _NULL)
        if id(node) in self._open:
            return self._refused(mark, "holds itself, through an alias")
        if len(self._open) >= _DEEPEST:
            message = f"the document is nested more than {_DEEPEST} levels deep"
            raise _Unfit(evolve(mark, path="").problem(message))
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._keys(node, mark)
            path = mark.path
            items = [self.read(item, f"{path}[{n}]") for n, item in enumerate(node.value)]
            return Items(items, mark)
        finally:
            self._open.discard(id(node))

    def _keys(self, node: yaml.MappingNode, mark: Mark) -> Node:
        keys = Keys({}, mark)
        merged: list[Keys] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                return self._refused_key(key_node, node, mark)
            key = key_node.value
            here = self._mark(key_node, mark.at(key).path)
            if key_node.tag == _MERGE and not key_node.style:
                if (sources := self._merged(value_node, here, mark.path)) is None:
                    return Scalar("", mark, refused=True)
                merged += sources
            elif key in keys.nodes:
                message = f"the key is there twice: in line {keys.marks[key].line} and here"
                keys.nodes[key] = self._refused(here, message)
            else:
                keys.nodes[key], keys.marks[key] = self.read(value_node, here.path), here
        for source in merged:
            for key, value in source.nodes.items():
                if key not in keys.nodes:
                    keys.nodes[key], keys.marks[key] = value, source.marks[key]
        return keys

    def _refused_key(self, key: yaml.Node, node: yaml.MappingNode, mark: Mark) -> Scalar:
        if node.flow_style and isinstance(key, yaml.MappingNode):
            return self._refused(mark, "begins with {{", "put single quotes around the value")
        return self._refused(self._mark(key, mark.path), "a key must be text")

    def _merged(self, node: yaml.Node, mark: Mark, path: str) -> list[Keys] | None:
        """Return the mappings that `<<` brings; None when one is none, which has been noted."""
        value = self.read(node, path)
        sources = value.nodes if isinstance(value, Items) else [value]
        merged = [source for source in sources if isinstance(source, Keys)]
        if len(merged) == len(sources):
            return merged
        if not any(isinstance(source, Scalar) and source.refused for source in sources):
            self._refused(mark, "<< takes a mapping or a list of them")
        return None

    def _mark(self, node: yaml.Node, path: str) -> Mark:
        return Mark(self._file, self._folder, node.start_mark.line + 1, path)

    def _refused(self, mark: Mark, message: str, remedy: str = "") -> Scalar:
        self._problems.append(mark.problem(message, remedy))
        return Scalar("", mark, refused=True)
