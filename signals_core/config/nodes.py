"""YAML composed into nodes that know where they stand, never constructed.

A scalar stays text until the field it lands in parses it, so that `NO`, `1.10` and `1:30` mean
what they say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from attrs import evolve, field, frozen

from signals_core.errors import Problem

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:
    _Loader = yaml.SafeLoader

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_STANDARD = "tag:yaml.org,2002:"

#: Aliases may not blow a document up beyond this ("a billion laughs").
_MOST_NODES = 200_000


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
        return evolve(self, path=f"{self.path}.{key}" if self.path else key)


@frozen
class Scalar:
    """Text, as written; `plain` when it was not quoted, `null` for a bare null."""

    text: str
    mark: Mark = field(eq=False)
    plain: bool = True
    null: bool = False


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


def compose(text: bytes, file: str, folder: Path, problems: list[Problem]) -> list[Node]:
    """Read the documents of one file; mistakes of syntax are added to `problems`."""
    documents: list[Node] = []
    try:
        for root in yaml.compose_all(text, Loader=_Loader):
            line = root.start_mark.line + 1
            reader = _Reader(Mark(file, folder, line), problems)
            node = reader.read(root, "")
            if node is not None and not (isinstance(node, Scalar) and node.null):
                documents.append(node)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(_syntax_problem(error, file))
    except RecursionError:
        problems.append(Problem("is nested too deeply", file=file, line=1))
    return documents


class _Reader:
    """Turns the nodes of one document into ours."""

    def __init__(self, root: Mark, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._open: set[int] = set()
        self._count = 0

    def read(self, node: yaml.Node, path: str) -> Node | None:
        """Return our node, None when it cannot be used (the mistake is noted)."""
        mark = self._mark(node, path)
        self._count += 1
        if self._count > _MOST_NODES:
            raise yaml.YAMLError("aliases blow the document up")
        if id(node) in self._open:
            self._refuse(mark, "an alias here contains itself")
            return None
        if not node.tag.startswith(_STANDARD):
            self._refuse(mark, f"has the YAML tag {node.tag}", "take the tag out")
            return None
        if isinstance(node, yaml.ScalarNode):
            plain = not node.style  # the C parser says "", the other None
            return Scalar(node.value, mark, plain, plain and node.tag == _NULL)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._keys(node, mark)
            assert isinstance(node, yaml.SequenceNode)
            return self._items(node, mark)
        finally:
            self._open.discard(id(node))

    def _items(self, node: yaml.SequenceNode, mark: Mark) -> Items:
        read = (self.read(item, f"{mark.path}[{index}]") for index, item in enumerate(node.value))
        return Items([item for item in read if item is not None], mark)

    def _keys(self, node: yaml.MappingNode, mark: Mark) -> Keys:
        keys = Keys({}, mark)
        merged: list[Keys] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(self._mark(key_node, mark.path), "a key must be text")
                continue
            key = key_node.value
            here = self._mark(key_node, mark.at(key).path)
            if key_node.tag == _MERGE and not key_node.style:
                merged += self._merged(value_node, here)
            elif key in keys.nodes:
                first = keys.marks[key].line
                self._refuse(here, f"the key is there twice: in line {first} and here")
            elif (value := self.read(value_node, here.path)) is not None:
                keys.nodes[key], keys.marks[key] = value, here
        for source in merged:
            for key, value in source.nodes.items():
                if key not in keys.nodes:
                    keys.nodes[key], keys.marks[key] = value, source.marks[key]
        return keys

    def _merged(self, node: yaml.Node, mark: Mark) -> Iterator[Keys]:
        value = self.read(node, mark.path.rpartition(".")[0])
        for source in value.nodes if isinstance(value, Items) else [value]:
            if isinstance(source, Keys):
                yield source
            else:
                self._refuse(mark, "<< takes a mapping or a list of them")

    def _mark(self, node: yaml.Node, path: str) -> Mark:
        return evolve(self._root, line=node.start_mark.line + 1, path=path)

    def _refuse(self, mark: Mark, message: str, remedy: str = "") -> None:
        self._problems.append(mark.problem(message, remedy))


def _syntax_problem(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    if isinstance(error, yaml.MarkedYAMLError):
        what = ", ".join(part for part in (error.problem, error.context) if part)
    elif isinstance(error, (yaml.reader.ReaderError, UnicodeDecodeError)):
        what = "it is not UTF-8 text without control characters"
    else:
        what = " ".join(str(error).split())
    remedy = (
        "quote values that begin with { or hold ': '" if "flow" in what or "mapping" in what else ""
    )
    return Problem(f"is no YAML: {what}", remedy, file=file, line=line)
