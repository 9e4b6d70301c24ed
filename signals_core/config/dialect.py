"""The original project's spellings, read into today's shape.

Its files run unchanged: Go template calls for environment variables, tags as a list, prefixed type
names, and the keys `collector`, `source.strategy` and `state_store`. Nothing else knows of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import evolve

from signals_core.config.nodes import Items, Keys, Node, Scalar, is_null
from signals_core.config.structure import Failed, Structurer
from signals_core.errors import Problem

_ARGUMENT = r"""(?:"((?:[^"\\\n]|\\.)*)"|`([^`]*)`)"""
_CALL = re.compile(
    r"(?:\s*\{\{-\s|\{\{)\s*"
    r"(?:getEnv\s+" + _ARGUMENT + r"|getEnvOrDefault\s+" + _ARGUMENT + r"\s+" + _ARGUMENT + r")"
    r"\s*(?:\s-\}\}\s*|\}\})"
)
_OTHER_CALL = re.compile(r"\{\{-?\s*getEnv\w*[^}]*(?:\}\})?")
_ESCAPE = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|([0-7]{3})|(.))", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

#: What type names may begin with, and the one type of collector.
PREFIX = "metric."
COLLECTOR_TYPE = "metric"

#: What `collector` holds, the strategies that are known, and those of them that read windows.
COLLECTOR_PARTS = ("type", "invocation_strategy")
WINDOWED = ("historic_tumbling_window", "window")
STRATEGIES = ("tick", *WINDOWED)

Note = Callable[[Problem], None]


def modernise(document: Keys, structurer: Structurer) -> Keys:
    """Return the document in today's shape; what has no counterpart is noted."""
    note = structurer.note
    document = with_references(document, note)
    document = _with_tag_mappings(document, structurer)
    strategies = [
        *_strategy(document, "collector", "invocation_strategy"),
        *_strategy(document, "source", "strategy"),
    ]
    document = _without_collector_key(document, note)
    document = _with_plain_source(document).without("state_store")
    for strategy in strategies:
        document = _with_strategy(document, strategy, note)
    return document


def with_references(keys: Keys, note: Note) -> Keys:
    """Return the mapping with its template calls written as references."""
    return _rewritten_keys(keys, note)


def _rewritten_keys(keys: Keys, note: Note) -> Keys:
    nodes = {key: _rewritten(item, note) for key, item in keys.nodes.items()}
    return Keys(nodes, keys.mark, keys.marks)


def _rewritten(node: Node, note: Note) -> Node:
    if isinstance(node, Keys):
        return _rewritten_keys(node, note)
    if isinstance(node, Items):
        return Items([_rewritten(item, note) for item in node.nodes], node.mark)
    if "{{" not in node.text:
        return node
    text = _CALL.sub(_reference, node.text)
    if other := _OTHER_CALL.search(text):
        remedy = 'write {{ getEnv "NAME" }} or {{ getEnvOrDefault "NAME" "default" }}'
        note(node.mark.problem(f"{other[0]!r} is no call that is known", remedy))
        return evolve(node, refused=True)
    return evolve(node, text=text)


def _reference(match: re.Match[str]) -> str:
    if (name := _unquoted(match[1], match[2])) is not None:
        return f"${{{name}:-}}"
    name, default = _unquoted(match[3], match[4]), _unquoted(match[5], match[6])
    escaped = (default or "").replace("}", "\\}")
    return f"${{{name}:-{escaped}}}"


def _unquoted(quoted: str | None, raw: str | None) -> str | None:
    """Return the text of a Go string, between quotes or between backquotes."""
    return raw if quoted is None else _ESCAPE.sub(_unescaped, quoted)


def _unescaped(match: re.Match[str]) -> str:
    if digits := match[1] or match[2] or match[3]:
        return chr(int(digits, 16))
    return chr(int(match[4], 8)) if match[4] else _ESCAPED.get(match[5], match[5])


def _with_tag_mappings(document: Keys, structurer: Structurer) -> Keys:
    if isinstance(tags := document.nodes.get("tags"), Items):
        document = document.with_key("tags", _mapping_of(tags, structurer))
    metric = document.nodes.get("metric")
    if isinstance(metric, Keys) and isinstance(tags := metric.nodes.get("tags"), Items):
        metric = metric.with_key("tags", _mapping_of(tags, structurer))
        document = document.with_key("metric", metric)
    return document


def _mapping_of(tags: Items, structurer: Structurer) -> Keys:
    mapping = Keys({}, tags.mark)
    for tag in tags.nodes:
        try:
            keys = structurer.keys(tag, "write tags as a mapping: {env: prod}")
            if keys.nodes.keys() != {"key", "value"}:
                structurer.note(tag.mark.problem("is no tag", "write {key: env, value: prod}"))
                continue
            key = structurer.known_text(keys.nodes["key"])
        except Failed:
            continue
        if key in mapping.nodes:
            structurer.note(tag.mark.problem(f"the tag {key!r} is there already"))
        else:
            mapping = mapping.with_key(key, keys.nodes["value"])
    return mapping


def _strategy(document: Keys, holder: str, key: str) -> list[Scalar]:
    held = document.nodes.get(holder)
    strategy = held.nodes.get(key) if isinstance(held, Keys) else None
    return [strategy] if isinstance(strategy, Scalar) and not is_null(strategy) else []


def _without_collector_key(document: Keys, note: Note) -> Keys:
    collector = document.nodes.get("collector")
    if not isinstance(collector, Keys):
        return document
    kind = collector.nodes.get("type")
    if isinstance(kind, Scalar) and kind.text != COLLECTOR_TYPE:
        note(
            kind.mark.problem(
                f"collectors of the type {kind.text!r} are not supported", COLLECTOR_TYPE
            )
        )
    for key in collector.nodes:
        if key not in COLLECTOR_PARTS:
            known = f"known: {', '.join(COLLECTOR_PARTS)}"
            note(collector.mark_of(key).problem("is no known key", known))
    return document.without("collector")


def _with_plain_source(document: Keys) -> Keys:
    source = document.nodes.get("source")
    if not isinstance(source, Keys):
        return document
    kind = source.nodes.get("type")
    if isinstance(kind, Scalar) and kind.text.startswith(PREFIX):
        source = source.with_key("type", evolve(kind, text=kind.text.removeprefix(PREFIX)))
    return document.with_key("source", source.without("strategy"))


def _with_strategy(document: Keys, strategy: Scalar, note: Note) -> Keys:
    if strategy.text == "tick":
        return document
    if strategy.text not in WINDOWED:
        known = ", ".join(STRATEGIES)
        note(strategy.mark.problem(f"the strategy {strategy.text!r} is not supported", known))
        return document
    if "window" not in document.nodes:
        document = document.with_key("window", Keys({}, strategy.mark))
    return _with_grain_of_source(document)


def _with_grain_of_source(document: Keys) -> Keys:
    """Read `source.config.time.window`, the length of the window, as the grain."""
    source = document.nodes.get("source")
    config = source.nodes.get("config") if isinstance(source, Keys) else None
    time = config.nodes.get("time") if isinstance(config, Keys) else None
    length = time.nodes.get("window") if isinstance(time, Keys) else None
    if length is None:
        return document
    assert isinstance(source, Keys)
    assert isinstance(config, Keys)
    document = document.with_key("source", source.with_key("config", config.without("time")))
    metric = document.nodes.get("metric")
    if "grain" in document.nodes or (isinstance(metric, Keys) and "grain" in metric.nodes):
        return document
    return document.with_key("grain", length)
