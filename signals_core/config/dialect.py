"""The original project's spellings, read into today's shape.

Its files run unchanged: Go template calls for environment variables, tags as a list, prefixed type
names, and the keys `collector`, `source.strategy` and `state_store`. Nothing else knows of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import evolve

from signals_core.config.nodes import Items, Keys, Node, Scalar
from signals_core.errors import Problem

_ARGUMENT = r"""(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)"""
_CALL = re.compile(
    r"\{\{-?\s*(?P<function>getEnvOrDefault|getEnv)\s+"
    + _ARGUMENT
    + r"(?:\s+"
    + _ARGUMENT
    + r")?\s*-?\}\}"
)
_WINDOWED = ("historic_tumbling_window", "window")
_PREFIX = "metric."

Note = Callable[[Problem], None]


def modernise(document: Keys, note: Note) -> Keys:
    """Return the document in today's shape; what has no counterpart is noted."""
    document = _with_references(document)
    document = _with_tag_mappings(document, note)
    strategies = [
        *_strategy(document, "collector", "invocation_strategy"),
        *_strategy(document, "source", "strategy"),
    ]
    document = _without_collector_key(document, note)
    document = _with_plain_source(document).without("state_store")
    for strategy in strategies:
        document = _with_strategy(document, strategy, note)
    return document


def _with_references(node: Keys) -> Keys:
    def rewrite(node: Node) -> Node:
        if isinstance(node, Scalar):
            return (
                evolve(node, text=_CALL.sub(_reference, node.text)) if "{{" in node.text else node
            )
        if isinstance(node, Items):
            return evolve(node, nodes=[rewrite(item) for item in node.nodes])
        return evolve(node, nodes={key: rewrite(item) for key, item in node.nodes.items()})

    rewritten = rewrite(node)
    assert isinstance(rewritten, Keys)
    return rewritten


def _reference(match: re.Match[str]) -> str:
    name = _unquoted(match[2], match[3])
    if match["function"] == "getEnv":
        return f"${{{name}:-}}"
    default = _unquoted(match[4], match[5]).replace("}", "\\}")
    return f"${{{name}:-{default}}}"


def _unquoted(quoted: str | None, raw: str | None) -> str:
    return raw or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)


def _with_tag_mappings(document: Keys, note: Note) -> Keys:
    if isinstance(tags := document.nodes.get("tags"), Items):
        document = document.with_key("tags", _mapping_of(tags, note))
    metric = document.nodes.get("metric")
    if isinstance(metric, Keys) and isinstance(tags := metric.nodes.get("tags"), Items):
        document = document.with_key("metric", metric.with_key("tags", _mapping_of(tags, note)))
    return document


def _mapping_of(tags: Items, note: Note) -> Keys:
    mapping = Keys({}, tags.mark)
    for tag in tags.nodes:
        key = tag.nodes.get("key") if isinstance(tag, Keys) else None
        value = tag.nodes.get("value") if isinstance(tag, Keys) else None
        if not isinstance(tag, Keys) or not isinstance(key, Scalar) or value is None:
            note(tag.mark.problem("is no tag", "write tags as a mapping: {env: prod}"))
        elif key.text in mapping.nodes:
            note(tag.mark.problem(f"the tag {key.text!r} is there already"))
        else:
            mapping = mapping.with_key(key.text, value)
    return mapping


def _strategy(document: Keys, holder: str, key: str) -> list[Scalar]:
    held = document.nodes.get(holder)
    strategy = held.nodes.get(key) if isinstance(held, Keys) else None
    return [strategy] if isinstance(strategy, Scalar) else []


def _without_collector_key(document: Keys, note: Note) -> Keys:
    collector = document.nodes.get("collector")
    if not isinstance(collector, Keys):
        return document
    kind = collector.nodes.get("type")
    if isinstance(kind, Scalar) and kind.text != "metric":
        note(kind.mark.problem(f"collectors of the type {kind.text!r} are not supported", "metric"))
    for key in collector.nodes.keys() - {"type", "invocation_strategy"}:
        note(collector.mark_of(key).problem("is no known key", "known: type, invocation_strategy"))
    return document.without("collector")


def _with_plain_source(document: Keys) -> Keys:
    source = document.nodes.get("source")
    if not isinstance(source, Keys):
        return document
    kind = source.nodes.get("type")
    if isinstance(kind, Scalar) and kind.text.startswith(_PREFIX):
        source = source.with_key("type", evolve(kind, text=kind.text.removeprefix(_PREFIX)))
    return document.with_key("source", source.without("strategy"))


def _with_strategy(document: Keys, strategy: Scalar, note: Note) -> Keys:
    if strategy.text == "tick":
        return document
    if strategy.text not in _WINDOWED:
        known = ", ".join(("tick", *_WINDOWED))
        note(strategy.mark.problem(f"the strategy {strategy.text!r} is not supported", known))
        return document
    if "window" not in document.nodes:
        document = document.with_key("window", Keys({}, strategy.mark))
    grain = _node_at(document, "source", "config", "time", "window")
    metric_grain = _node_at(document, "metric", "grain")
    if grain is not None and metric_grain is None and "grain" not in document.nodes:
        document = document.with_key("grain", grain)
    return document


def _node_at(node: Node | None, *path: str) -> Node | None:
    for key in path:
        node = node.nodes.get(key) if isinstance(node, Keys) else None
    return node
