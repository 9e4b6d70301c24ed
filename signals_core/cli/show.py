"""Collectors as a person looks at them: in a list, or one whole with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signals_core.config import LoadedCollector
from signals_core.config.nodes import Items, Keys, Node, Scalar


def summary(loaded: LoadedCollector) -> dict[str, Any]:
    """Return what a listing says of a collector."""
    collector, nodes = loaded.collector, loaded.document.nodes
    return {
        "name": collector.name,
        "metrics": [definition.name for definition in collector.definitions],
        "grain": None if collector.grain is None else f"{collector.grain} {collector.timezone}",
        "schedule": _schedule(nodes.get("schedule")) or ("as due" if collector.window else None),
        "source": _reference(nodes.get("source")),
        "sinks": list(collector.sinks),
        "owner": collector.owner,
        "file": f"{loaded.document.mark.file}:{loaded.document.mark.line}",
    }


def as_lines(loaded: LoadedCollector) -> Iterator[str]:
    """Yield a collector's document as YAML; after each value, where it is from."""
    lines = list(_lines(loaded.document, 0))
    width = max(len(text) for text, _ in lines)
    for text, origin in lines:
        yield f"{text:{min(width, 60)}}  # {origin}" if origin else text


def as_tree(node: Node) -> Any:
    """Return a node as plain values: text stays text."""
    if isinstance(node, Keys):
        return {key: as_tree(item) for key, item in node.nodes.items()}
    if isinstance(node, Items):
        return [as_tree(item) for item in node.nodes]
    return None if node.null else node.text


def _lines(node: Node, depth: int, prefix: str = "") -> Iterator[tuple[str, str]]:
    indent = "  " * depth
    if isinstance(node, Scalar):
        yield from _scalar_lines(node, indent + prefix, depth)
    elif not node.nodes:
        yield f"{indent}{prefix}{'{}' if isinstance(node, Keys) else '[]'}", _origin(node)
    elif isinstance(node, Keys):
        for position, (key, item) in enumerate(node.nodes.items()):
            first = indent + (prefix if position == 0 else " " * len(prefix))
            yield from _entry_lines(f"{first}{key}:", item, depth + (len(prefix) // 2))
    else:
        for item in node.nodes:
            yield from _lines(item, depth, f"{prefix}- ")


def _entry_lines(head: str, item: Node, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(item, Scalar):
        yield from _scalar_lines(item, f"{head} ", depth)
    elif not item.nodes:
        yield f"{head} {'{}' if isinstance(item, Keys) else '[]'}", _origin(item)
    else:
        yield head, ""
        yield from _lines(item, depth + 1)


def _scalar_lines(node: Scalar, head: str, depth: int) -> Iterator[tuple[str, str]]:
    if "\n" in node.text:
        yield f"{head}|", _origin(node)
        for line in node.text.rstrip("\n").split("\n"):
            yield f"{'  ' * (depth + 1)}{line}".rstrip(), ""
    else:
        yield head + ("~" if node.null else _quoted(node)), _origin(node)


def _quoted(node: Scalar) -> str:
    return node.text if node.plain else "'" + node.text.replace("'", "''") + "'"


def _origin(node: Node) -> str:
    return f"{node.mark.file}:{node.mark.line}"


def _schedule(node: Node | None) -> str | None:
    if not isinstance(node, Keys):
        return None
    config = node.nodes.get("config")
    keys = config if isinstance(config, Keys) else node
    texts = (item.text for item in keys.nodes.values() if isinstance(item, Scalar))
    return " ".join(texts) or None


def _reference(node: Node | None) -> str | None:
    if not isinstance(node, Keys):
        return None
    found = node.nodes.get("use") or node.nodes.get("type")
    return found.text if isinstance(found, Scalar) else None
